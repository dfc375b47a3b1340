"""The only way out: a transport that cannot write, and the HTTP client built on it.

Being read-only is a promise, so it is kept below everything that could forget it. This module
judges finished requests and knows nothing of how they are made.
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
# No blank and no line break: what follows one could be another header.
_BEARER = re.compile(r"Bearer [\x21-\x7e]+")
_BATCH_FIELDS = frozenset(
    {"access_token", "appsecret_proof", "appsecret_time", "batch", "include_headers"}
)
_OPERATION_KEYS = (
    frozenset({"method", "relative_url"}),
    frozenset({"method", "relative_url", "headers"}),
)
# Graph takes `?method=delete` for a DELETE, whatever the verb on the wire; a token in a URL ends
# up in somebody's log.
_FORBIDDEN_PARAMS = frozenset({"access_token", "client_secret", "method"})
_OVERRIDE_HEADERS = ("x-http-method-override", "x-http-method", "x-method-override")


class WriteRefused(Exception):
    """A request was stopped before it left: it could change something, or go somewhere else."""


class ReadOnlyTransport(httpx.AsyncBaseTransport):
    """Lets through GETs to one origin, and batches that hold nothing but GETs."""

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
        _require_harmless_names(url.params.keys())
        inspects = self._path(url).rpartition("/")[2] == "debug_token"
        if "input_token" in url.params and not inspects:
            raise WriteRefused("a token may only be a parameter of debug_token")

    def _require_batch_of_reads(self, request: httpx.Request, body: bytes) -> None:
        if not _ROOT.fullmatch(self._path(request.url)) or request.url.query:
            raise WriteRefused("POST is for the batch root only")
        if request.headers.get("content-type") != "application/x-www-form-urlencoded":
            raise WriteRefused("a batch is a form")
        pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
        form = dict(pairs)
        # A field named twice could be read one way here and another way there.
        if len(form) != len(pairs) or not _BATCH_FIELDS.issuperset(form):
            raise WriteRefused("a batch has its own few fields, each once")
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
    """One HTTP client for the life of a process; close it where it was opened.

    Nothing of the environment reaches it (no proxy, no netrc), it follows no redirect, keeps no
    cookie, and speaks plain HTTP only to this machine.
    """
    url = httpx.URL(base_url)
    if url.scheme != "https" and not (url.scheme == "http" and url.host in _LOCAL_HOSTS):
        raise ValueError("tokens travel over https, or over http to this machine")
    if url.userinfo or url.query or url.fragment:
        raise ValueError("the base URL is an origin and perhaps a path")
    silence_url_logging()
    limits = httpx.Limits(
        max_connections=max_connections,
        max_keepalive_connections=max_connections,
        keepalive_expiry=30.0,
    )
    inner = transport or httpx.AsyncHTTPTransport(trust_env=False, limits=limits)
    # One client serves many partners: a cookie set for one must not be sent for another.
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
    """Stop the HTTP library from logging whole URLs, which it does at INFO.

    The level alone can be lowered again by a logging configuration that loads later; the filter
    stays.
    """
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("httpx").addFilter(_is_serious)


def _is_serious(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    default_port = {"https": 443, "http": 80}.get(url.scheme)
    return url.scheme, url.host, url.port or default_port


def _require_plain_headers(request: httpx.Request) -> None:
    if any(name in request.headers for name in _OVERRIDE_HEADERS):
        raise WriteRefused("a header asks for another method")


def _require_harmless_names(names: Iterable[str]) -> None:
    if forbidden := _FORBIDDEN_PARAMS.intersection(name.casefold() for name in names):
        raise WriteRefused(f"not a parameter of a read: {', '.join(sorted(forbidden))}")


def _operations(text: str) -> list[Any]:
    try:
        operations = json.loads(text)
    except ValueError:
        operations = None
    if not isinstance(operations, list):
        raise WriteRefused("a batch is a list of operations")
    return operations


def _require_read_operation(operation: Any) -> None:
    if not isinstance(operation, dict) or set(operation) not in _OPERATION_KEYS:
        raise WriteRefused("a batch operation has a method, a relative_url and perhaps headers")
    if "headers" in operation and not _is_authorization(operation["headers"]):
        raise WriteRefused("a batch operation has no header but its own token")
    if operation["method"] != "GET":
        raise WriteRefused("a batch operation is not a GET")
    url = urlsplit(str(operation["relative_url"]))
    if url.scheme or url.netloc:
        raise WriteRefused("a batch operation is for another host")
    names = [name for name, _ in parse_qsl(url.query, keep_blank_values=True)]
    _require_harmless_names([*names, *(["access_token"] if "input_token" in names else [])])


def _is_authorization(headers: Any) -> bool:
    match headers:
        case [{"name": "Authorization", "value": str(value), **others}] if not others:
            return _BEARER.fullmatch(value) is not None
    return False
