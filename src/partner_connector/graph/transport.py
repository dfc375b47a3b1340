"""HTTP transport that refuses writes, and the HTTP client that uses it.

The service promises to change nothing at Meta. This lowest layer enforces that: it checks each
finished request and does not depend on the code that builds requests.
"""

import http.cookiejar
import json
import logging
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_ROOT = re.compile(r"/(?:v\d+\.\d+/?)?", re.ASCII)
# No blank and no line break: another header could follow them.
_BEARER = re.compile(r"Bearer [\x21-\x7e]+")
_BATCH_FIELDS = frozenset(
    {"access_token", "appsecret_proof", "appsecret_time", "batch", "include_headers"}
)
_OPERATION_KEYS = (
    frozenset({"method", "relative_url"}),
    frozenset({"method", "relative_url", "headers"}),
)
# Meta treats `?method=delete` as a DELETE for every HTTP method, and a URL with a token may end up
# in a log.
_FORBIDDEN_PARAMS = frozenset({"access_token", "client_secret", "method"})
_OVERRIDE_HEADERS = ("x-http-method-override", "x-http-method", "x-method-override")


class WriteRefused(Exception):
    """A request that was not sent, because it could change data or goes to another host."""


class ReadOnlyTransport(httpx.AsyncBaseTransport):
    """Transport for GETs to one origin and for batches of GETs; all else raises `WriteRefused`."""

    def __init__(self, inner: httpx.AsyncBaseTransport, *, base_url: str) -> None:
        self._inner = inner
        url = httpx.URL(base_url)
        self._origin = _origin(url)
        self._prefix = url.path.rstrip("/")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._require_origin(request)
        _require_plain_headers(request)
        if request.method == "GET":
            self._require_read(request.url)
        elif request.method == "POST":
            self._require_batch_of_reads(request, await request.aread())
        else:
            raise WriteRefused(f"{request.method} is not a read")
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _require_origin(self, request: httpx.Request) -> None:
        hosts = {request.url.netloc.decode(), request.url.host}
        if _origin(request.url) != self._origin or request.headers.get("host") not in hosts:
            raise WriteRefused("the request is for another host")

    def _require_read(self, url: httpx.URL) -> None:
        _require_allowed_params(url.params.keys())
        is_inspection = self._path(url).rpartition("/")[2] == "debug_token"
        if "input_token" in url.params and not is_inspection:
            raise WriteRefused("a token may only be a parameter of debug_token")

    def _require_batch_of_reads(self, request: httpx.Request, body: bytes) -> None:
        if not _ROOT.fullmatch(self._path(request.url)) or request.url.query:
            raise WriteRefused("POST is allowed for batches only")
        if request.headers.get("content-type") != "application/x-www-form-urlencoded":
            raise WriteRefused("a batch must be a form")
        pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
        form = dict(pairs)
        # Meta could read another value of a repeated field than the one checked here.
        if len(form) != len(pairs) or not _BATCH_FIELDS.issuperset(form):
            raise WriteRefused("a batch form has an unknown or repeated field")
        for operation in _operations(form.get("batch", "")):
            _require_read_operation(operation)

    def _path(self, url: httpx.URL) -> str:
        return url.path.removeprefix(self._prefix) or "/"


def open_http_client(
    base_url: str = "https://graph.facebook.com",
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    read_timeout: float = 30.0,
    max_connections: int = 20,
) -> httpx.AsyncClient:
    """Return an HTTP client for the lifetime of a process. The caller closes it.

    It ignores the environment (proxies, netrc), follows no redirects, keeps no cookies and uses
    plain HTTP for local hosts only. `read_timeout` is in seconds. Raise `ValueError` for a base URL
    that is not https, unless its host is local, or that has credentials, a query or a fragment.
    """
    url = httpx.URL(base_url)
    if url.scheme != "https" and not (url.scheme == "http" and url.host in _LOCAL_HOSTS):
        raise ValueError("the base URL must use https, or http to a local host")
    if url.userinfo or url.query or url.fragment:
        raise ValueError("the base URL must not have credentials, a query or a fragment")
    silence_url_logging()
    limits = httpx.Limits(
        max_connections=max_connections,
        max_keepalive_connections=max_connections,
        keepalive_expiry=30.0,
    )
    inner = transport or httpx.AsyncHTTPTransport(trust_env=False, limits=limits)
    # All partners share the client: a cookie from one partner's call must not be sent for another.
    no_cookies = http.cookiejar.DefaultCookiePolicy(allowed_domains=[])
    return httpx.AsyncClient(
        base_url=base_url,
        transport=ReadOnlyTransport(inner, base_url=base_url),
        timeout=httpx.Timeout(connect=5.0, read=read_timeout, write=10.0, pool=30.0),
        cookies=http.cookiejar.CookieJar(no_cookies),
        follow_redirects=False,
        trust_env=False,
    )


def silence_url_logging() -> None:
    """Stop the HTTP library from logging whole URLs at INFO.

    A logging configuration that is loaded later can lower the level again; the filter stays.
    """
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("httpx").addFilter(_is_warning_or_higher)


def _is_warning_or_higher(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    default_port = {"https": 443, "http": 80}.get(url.scheme)
    return url.scheme, url.host, url.port or default_port


def _require_plain_headers(request: httpx.Request) -> None:
    if any(name in request.headers for name in _OVERRIDE_HEADERS):
        raise WriteRefused("a header overrides the method")


def _require_allowed_params(names: Iterable[str]) -> None:
    if forbidden := _FORBIDDEN_PARAMS.intersection(name.casefold() for name in names):
        raise WriteRefused(f"not allowed as a parameter of a read: {', '.join(sorted(forbidden))}")


def _operations(text: str) -> list[Any]:
    try:
        operations = json.loads(text)
    except ValueError:
        operations = None
    if not isinstance(operations, list):
        raise WriteRefused("a batch must be a list of operations")
    return operations


def _require_read_operation(operation: Any) -> None:
    if not isinstance(operation, dict) or set(operation) not in _OPERATION_KEYS:
        raise WriteRefused("a batch operation may have a method, a relative_url and headers only")
    if "headers" in operation and not _is_authorization(operation["headers"]):
        raise WriteRefused("a batch operation may have no header except Authorization")
    if operation["method"] != "GET":
        raise WriteRefused("a batch operation is not a GET")
    url = urlsplit(str(operation["relative_url"]))
    if url.scheme or url.netloc:
        raise WriteRefused("a batch operation is for another host")
    names = [name for name, _ in parse_qsl(url.query, keep_blank_values=True)]
    _require_allowed_params([*names, *(["access_token"] if "input_token" in names else [])])


def _is_authorization(headers: Any) -> bool:
    match headers:
        case [{"name": "Authorization", "value": str(value), **others}] if not others:
            return _BEARER.fullmatch(value) is not None
    return False
