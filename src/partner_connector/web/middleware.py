"""What happens around every request: its id, its log line, its size limit, its headers.

Plain ASGI, so that streams and context variables pass through untouched.
"""

import re
import time
import traceback

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


class _HttpMiddleware:
    """Middleware of requests, which other connections pass by."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        serve = self._serve if scope["type"] == "http" else self.app
        await serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError


class RequestContextMiddleware(_HttpMiddleware):
    """Gives each request an id and logs one line without its query."""

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

        asked_in = Headers(scope=scope).get("traceparent")
        with tracing.span(
            "request", tracing.SERVER, parent=asked_in, request_id=request_id
        ) as span:
            try:
                await self.app(scope, receive, send_with_headers)
            finally:
                # The template, since a path that we do not know may hold anything.
                path = getattr(scope.get("route"), "path", "(unknown)")
                observe_request(scope["method"], path, status, began)
                _describe(span, known_method(scope["method"]), path, status)
                log.info(
                    "request",
                    method=scope["method"],
                    path=path,
                    status=status,
                    milliseconds=round((time.perf_counter() - began) * 1000, 1),
                )


def _describe(span: Span, method: str, path: str, status: int) -> None:
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
    """Answers what nobody caught."""

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noted_send(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self.app(scope, receive, noted_send)
        except Exception as error:
            # The text of an unknown exception may hold anything; its kind and place do not.
            frames = traceback.format_tb(error.__traceback__)
            log.error(  # noqa: TRY400 - its traceback would carry the text
                "request_crashed", error=type(error).__name__, frames=frames
            )
            if has_begun:
                raise
            problem = problem_response(Problem(), scope["state"]["request_id"])
            await problem(scope, receive, send)


class BodyLimitMiddleware(_HttpMiddleware):
    """Refuses bodies over 64 KiB, announced or streamed, before anything parses them."""

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
                # Starlette's own kind: the framework passes it through while parsing a body.
                raise HTTPException(BodyTooLarge.status)
            return message

        await self.app(scope, counted_receive, send)
