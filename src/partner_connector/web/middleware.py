"""ASGI middleware for every request: its id, log line, size limit and headers.

It is plain ASGI, so that streams and context variables pass through unchanged.
"""

import re
import time
import traceback
from abc import ABC, abstractmethod

import structlog
from opentelemetry.trace import Span
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from partner_connector.errors import BodyTooLarge, Problem
from partner_connector.ids import encode, new_id
from partner_connector.telemetry import tracing
from partner_connector.telemetry.metrics import known_method, observe_request
from partner_connector.web.error_handlers import problem_response

MAX_BODY_BYTES = 64 * 1024
_GIVEN_REQUEST_ID = re.compile(r"^[A-Za-z0-9_-]{8,64}$")
_SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
}

log = structlog.get_logger()


class _HttpMiddleware(ABC):
    """Base of middleware for HTTP requests; other connections pass through it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        serve = self._serve if scope["type"] == "http" else self.app
        await serve(scope, receive, send)

    @abstractmethod
    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one HTTP request."""


class RequestContextMiddleware(_HttpMiddleware):
    """Middleware that gives each request an id and logs one line, without its query."""

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        began = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                allowance: dict[str, str] = scope["state"].get("allowance", {})
                for name, value in (_SECURITY_HEADERS | allowance).items():
                    headers.setdefault(name, value)
            await send(message)

        parent = Headers(scope=scope).get("traceparent")
        with tracing.span("request", tracing.SERVER, parent=parent, request_id=request_id) as span:
            try:
                await self.app(scope, receive, send_with_headers)
            finally:
                # The path's template, because an unknown path may contain a secret.
                path = getattr(scope.get("route"), "path", "(unknown)")
                observe_request(scope["method"], path, status, began)
                _set_span_attributes(span, known_method(scope["method"]), path, status)
                log.info(
                    "request",
                    method=scope["method"],
                    path=path,
                    status=status,
                    milliseconds=round((time.perf_counter() - began) * 1000, 1),
                )


def _set_span_attributes(span: Span, method: str, path: str, status: int) -> None:
    span.update_name(f"{method} {path}")
    span.set_attribute("http.request.method", method)
    span.set_attribute("http.route", path)
    span.set_attribute("http.response.status_code", status)
    workspace_id = structlog.contextvars.get_contextvars().get("workspace_id")
    if workspace_id is not None:
        span.set_attribute("workspace_id", workspace_id)


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _GIVEN_REQUEST_ID.match(given) else encode("req", new_id())


class CrashMiddleware(_HttpMiddleware):
    """Middleware that answers an uncaught exception with a `500` problem."""

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started = False

        async def recording_send(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self.app(scope, receive, recording_send)
        except Exception as error:
            # The text of an unknown exception may contain a secret; its class and place cannot.
            frames = traceback.format_tb(error.__traceback__)
            log.error(  # noqa: TRY400 - its traceback would carry the text
                "request_crashed", error=type(error).__name__, frames=frames
            )
            if has_started:
                raise
            problem = problem_response(Problem(), scope["state"]["request_id"])
            await problem(scope, receive, send)


class BodyLimitMiddleware(_HttpMiddleware):
    """Middleware that refuses bodies over 64 KiB before they are parsed.

    It reads the size from `content-length`, and also counts the bytes that arrive.
    """

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
            refusal = problem_response(BodyTooLarge(), scope["state"]["request_id"])
            await refusal(scope, receive, send)
            return
        received = 0

        async def counted_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                # FastAPI passes Starlette's own exception through while it parses a body.
                raise HTTPException(BodyTooLarge.status)
            return message

        await self.app(scope, counted_receive, send)
