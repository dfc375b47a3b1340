"""One message to one server, and to no other: the one that was looked at is the one spoken to."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from socket import gaierror

import httpx

from partner_connector import __version__
from partner_connector.clock import now
from partner_connector.features.webhooks.addresses import LOOPBACK, is_public
from partner_connector.worker.delivery.dns import Lookups

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


class Sender:
    """Connects anew for each message: a pool of connections would go by address, and might send
    what is meant for one name to another on the same machine.
    """

    def __init__(
        self,
        *,
        allow_loopback: bool = False,
        resolve: Resolve | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._allow_loopback = allow_loopback
        self._lookups = Lookups()
        self._resolve = resolve or self._lookups.addresses_of
        self._http = httpx.AsyncClient(
            transport=transport,
            # No proxy and no authorities that the environment names: the public ones alone.
            trust_env=False,
            follow_redirects=False,
            timeout=PATIENCE_SECONDS,
            limits=httpx.Limits(max_keepalive_connections=0, max_connections=None),
            headers={"User-Agent": f"partner-connector/{__version__}"},
        )

    async def close(self) -> None:
        """Give back what is open."""
        await self._http.aclose()
        self._lookups.close()

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
        except (httpx.HTTPError, OSError) as error:
            return Outcome(error="tls_failed" if _is_of_tls(error) else "connection_failed")

    async def _send(self, url: httpx.URL, body: str, headers: Mapping[str, str]) -> Outcome:
        # As it is written: where httpx reads it, `xn--strae-oqa.de` would end up as `strasse.de`.
        host = url.raw_host.decode("ascii")
        address = await self._address_of(url, host)
        async with self._http.stream(
            "POST",
            url.copy_with(host=address),
            content=body.encode(),
            headers={**headers, "Host": url.netloc.decode(), "Content-Type": "application/json"},
            # Whose certificate it must be.
            extensions={"sni_hostname": host},
        ) as answer:
            # Its body is never read.
            return _outcome(answer)

    async def _address_of(self, url: httpx.URL, host: str) -> str:
        """The address to connect to; raises `NotPublic` unless all of them may be."""
        if url.scheme == "http":
            if self._allow_loopback and host == LOOPBACK:
                return LOOPBACK
            raise NotPublic
        addresses = await self._resolve(host, url.port or _HTTPS_PORT)
        if not addresses or not all(is_public(address) for address in addresses):
            raise NotPublic
        return addresses[0]


def _is_of_tls(error: BaseException | None) -> bool:
    """Whether there was somebody, but not, provably, the server of that name."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None


def _outcome(answer: httpx.Response) -> Outcome:
    status = answer.status_code
    if answer.is_success:
        return Outcome(status)
    wish = answer.headers.get("Retry-After", "") if status in _ASKS_FOR_TIME else ""
    return Outcome(status, "http_status", time_asked_for(wish, now()))


def time_asked_for(wish: str, at: datetime) -> timedelta | None:
    """`Retry-After`: seconds, or a date. What cannot be read, or is over, asks for nothing."""
    if wish.isascii() and wish.isdigit():
        return timedelta(seconds=min(int(wish[:9]), _MOST_PATIENT_SECONDS))
    try:
        until = parsedate_to_datetime(wish)
    except (ValueError, OverflowError):
        return None
    asked = (until if until.tzinfo else until.replace(tzinfo=UTC)) - at
    return asked if asked > timedelta() else None
