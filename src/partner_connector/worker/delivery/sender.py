"""Sending of webhook messages: the address that was checked is the one connected to."""

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

ATTEMPT_TIMEOUT_SECONDS = 15.0
_HTTPS_PORT = 443
_MAX_RETRY_AFTER_SECONDS = 24 * 60 * 60
_GONE = 410
_MAY_HAVE_RETRY_AFTER = frozenset({429, 503})

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one attempt. Nothing else of the response is kept."""

    status_code: int | None = None
    error: str | None = None
    retry_after: timedelta | None = None

    @property
    def arrived(self) -> bool:
        """True if the server accepted the message."""
        return self.error is None

    @property
    def gone(self) -> bool:
        """True if the server answered 410: it wants no more messages."""
        return self.status_code == _GONE


class NotPublic(Exception):
    """At least one address of the host name is not public."""


class Sender:
    """HTTP client for webhook messages, with a new connection for each message.

    A connection pool would select connections by address, and might send a message to another host
    name on the same machine.
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
            # Ignore proxies and certificate authorities that environment variables name.
            trust_env=False,
            follow_redirects=False,
            timeout=ATTEMPT_TIMEOUT_SECONDS,
            limits=httpx.Limits(max_keepalive_connections=0, max_connections=None),
            headers={"User-Agent": f"partner-connector/{__version__}"},
        )

    async def close(self) -> None:
        """Close the connections and the DNS threads."""
        await self._http.aclose()
        self._lookups.close()

    async def send(self, url: str, body: str, headers: Mapping[str, str]) -> Outcome:
        """Post the message. Return every failure as an outcome; never raise."""
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT_SECONDS):
                return await self._send(httpx.URL(url), body, headers)
        except (TimeoutError, httpx.TimeoutException):
            return Outcome(error="timeout")
        except NotPublic:
            return Outcome(error="address_not_public")
        except (gaierror, UnicodeError):
            return Outcome(error="name_not_resolved")
        except (httpx.HTTPError, OSError) as error:
            return Outcome(error="tls_failed" if _is_tls_error(error) else "connection_failed")

    async def _send(self, url: httpx.URL, body: str, headers: Mapping[str, str]) -> Outcome:
        # The raw host: httpx would decode `xn--strae-oqa.de` and change the name to `strasse.de`.
        host = url.raw_host.decode("ascii")
        address = await self._address_of(url, host)
        async with self._http.stream(
            "POST",
            url.copy_with(host=address),
            content=body.encode(),
            headers={**headers, "Host": url.netloc.decode(), "Content-Type": "application/json"},
            # The certificate must be for the host name, not for the address.
            extensions={"sni_hostname": host},
        ) as answer:
            # The body of the response is never read.
            return _outcome(answer)

    async def _address_of(self, url: httpx.URL, host: str) -> str:
        """Return the address to connect to. Raises `NotPublic` unless all addresses are allowed."""
        if url.scheme == "http":
            if self._allow_loopback and host == LOOPBACK:
                return LOOPBACK
            raise NotPublic
        addresses = await self._resolve(host, url.port or _HTTPS_PORT)
        if not addresses or not all(is_public(address) for address in addresses):
            raise NotPublic
        return addresses[0]


def _is_tls_error(error: BaseException | None) -> bool:
    """Return whether TLS failed: a server answered, but could not identify itself as that host."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None


def _outcome(answer: httpx.Response) -> Outcome:
    status = answer.status_code
    if answer.is_success:
        return Outcome(status)
    retry_after = answer.headers.get("Retry-After", "") if status in _MAY_HAVE_RETRY_AFTER else ""
    return Outcome(status, "http_status", parse_retry_after(retry_after, now()))


def parse_retry_after(retry_after: str, at: datetime) -> timedelta | None:
    """Parse `Retry-After`: seconds or a date. Return None if it is invalid or in the past."""
    if retry_after.isascii() and retry_after.isdigit():
        return timedelta(seconds=min(int(retry_after[:9]), _MAX_RETRY_AFTER_SECONDS))
    try:
        until = parsedate_to_datetime(retry_after)
    except (ValueError, OverflowError):
        return None
    wait = (until if until.tzinfo else until.replace(tzinfo=UTC)) - at
    return wait if wait > timedelta() else None
