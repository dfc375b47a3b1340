"""One message to one server, and to no other: the one that was looked at is the one spoken to."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from socket import SOCK_STREAM, gaierror

import httpx

from partner_connector import __version__
from partner_connector.clock import now
from partner_connector.webhooks.addresses import LOOPBACK, is_public

PATIENCE_SECONDS = 15.0
_HTTPS_PORT = 443
_MOST_PATIENT_SECONDS = 24 * 60 * 60
_GONE = 410
_ASKS_FOR_TIME = frozenset({429, 503})

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt. Of the answer nothing else is kept."""

    status_code: int | None = None
    error: str | None = None
    retry_after: timedelta | None = None

    @property
    def arrived(self) -> bool:
        """Whether the server has it."""
        return self.error is None

    @property
    def gone(self) -> bool:
        """Whether the server wants nothing any more."""
        return self.status_code == _GONE


class NotPublic(Exception):
    """The name leads, also, into a network that is nobody's business."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """Every address of a name, in the order in which this machine would use them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Sender:
    """Connects anew for each message: a pool of connections would go by address, and might send
    what is meant for one name to another on the same machine.
    """

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        resolve: Resolve = resolve,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._allow_loopback = allow_loopback
        self._resolve = resolve
        self._http = httpx.AsyncClient(
            transport=transport,
            verify=ssl.create_default_context(),
            # No proxy and no certificates that the environment names.
            trust_env=False,
            follow_redirects=False,
            timeout=PATIENCE_SECONDS,
            limits=httpx.Limits(max_keepalive_connections=0, max_connections=None),
            headers={"User-Agent": f"partner-connector/{__version__}"},
        )

    async def close(self) -> None:
        """Give back what is open."""
        await self._http.aclose()

    async def send(self, url: str, body: str, headers: Mapping[str, str]) -> Outcome:
        """Post it. Whatever goes wrong is an outcome; it never raises."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._send(httpx.URL(url), body, headers)
        except (TimeoutError, httpx.TimeoutException):
            return Outcome(error="timeout")
        except NotPublic:
            return Outcome(error="address_not_public")
        except (gaierror, UnicodeError):
            return Outcome(error="name_not_resolved")
        except (httpx.HTTPError, OSError):
            return Outcome(error="connection_failed")

    async def _send(self, url: httpx.URL, body: str, headers: Mapping[str, str]) -> Outcome:
        address = await self._address_of(url)
        async with self._http.stream(
            "POST",
            url.copy_with(host=address),
            content=body.encode(),
            headers={**headers, "Host": url.netloc.decode(), "Content-Type": "application/json"},
            # Whose certificate it must be.
            extensions={"sni_hostname": url.host},
        ) as answer:
            # Its body is never read.
            return _outcome(answer)

    async def _address_of(self, url: httpx.URL) -> str:
        """The address to connect to; raises `NotPublic` unless all of them may be."""
        if url.scheme == "http":
            if self._allow_loopback and url.host == LOOPBACK:
                return LOOPBACK
            raise NotPublic
        addresses = await self._resolve(url.host, url.port or _HTTPS_PORT)
        if not addresses or not all(is_public(address) for address in addresses):
            raise NotPublic
        return addresses[0]


def _outcome(answer: httpx.Response) -> Outcome:
    status = answer.status_code
    if answer.is_success:
        return Outcome(status)
    wish = answer.headers.get("Retry-After", "") if status in _ASKS_FOR_TIME else ""
    return Outcome(status, "http_status", time_asked_for(wish, now()))


def time_asked_for(wish: str, at: datetime) -> timedelta | None:
    """`Retry-After`: seconds, or a date. What cannot be read asks for nothing."""
    if wish.isascii() and wish.isdigit():
        return timedelta(seconds=min(int(wish[:9]), _MOST_PATIENT_SECONDS))
    try:
        until = parsedate_to_datetime(wish)
    except (ValueError, OverflowError):
        return None
    return (until if until.tzinfo else until.replace(tzinfo=UTC)) - at
