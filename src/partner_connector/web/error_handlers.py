"""Every failure becomes one shape: `application/problem+json`, without a word of the input."""

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import Match

from partner_connector.errors import (
    BadRequest,
    BodyTooLarge,
    MethodNotAllowed,
    NotFound,
    Problem,
    ServiceUnavailable,
    Unprocessable,
    UnsupportedMediaType,
)
from partner_connector.web.early_answers import EarlyAnswer

MEDIA_TYPE = "application/problem+json"
log = structlog.get_logger()


class InvalidMember(BaseModel):
    """One thing that is wrong with a request."""

    model_config = ConfigDict(title="InvalidMember")

    pointer: str = Field(
        max_length=300,
        description="JSON pointer into the body, or `query/…`, `path/…`, `header/…`.",
        examples=["/access_token"],
    )
    code: str = Field(max_length=60, description="What is wrong, stable.", examples=["missing"])
    detail: str = Field(
        max_length=300, description="The same for people.", examples=["Field required"]
    )


class ProblemDocument(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(
        max_length=200,
        description="Where this kind of problem is described, relative to the service.",
        examples=["/v1/problems#not_found"],
    )
    title: str = Field(
        max_length=200, description="The kind in a few words.", examples=["Not found"]
    )
    status: int = Field(ge=400, le=599, description="As of the answer.", examples=[404])
    detail: str = Field(
        max_length=500,
        description="What it is this time, for people.",
        examples=["There is no such thing in this workspace."],
    )
    instance: str = Field(
        max_length=200,
        description="This occurrence: the request's id as a URN.",
        examples=["urn:request:req_01k9z3v0e8fjt9m2c4r6w8xabc"],
    )
    code: str = Field(
        max_length=60,
        description="Stable; act on this one. New codes may be added.",
        examples=["not_found"],
    )
    request_id: str = Field(
        max_length=64,
        description="As in `X-Request-Id`, and in our logs.",
        examples=["req_01k9z3v0e8fjt9m2c4r6w8xabc"],
    )
    errors: list[InvalidMember] | None = Field(
        default=None, max_length=100, description="With `validation_failed`: each member at fault."
    )
    state: str | None = Field(
        default=None,
        max_length=32,
        description="With `token_request_ended`: as what it ended.",
        examples=["accepted"],
    )
    retry_after: int | None = Field(
        default=None,
        ge=0,
        le=86400,
        description="Seconds to wait, where waiting helps.",
        examples=[1],
    )


def problem_response(problem: Problem, request_id: str) -> Response:
    """The answer for a problem."""
    headers = dict(problem.headers)
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    document = ProblemDocument(
        type=f"/v1/problems#{problem.code}",
        title=problem.title,
        status=problem.status,
        detail=problem.detail,
        instance=f"urn:request:{request_id}",
        code=problem.code,
        request_id=request_id,
        errors=[InvalidMember(**error) for error in problem.errors] if problem.errors else None,
        state=problem.state,
        retry_after=problem.retry_after,
    )
    return JSONResponse(
        document.model_dump(exclude_none=True),
        status_code=problem.status,
        headers=headers,
        media_type=MEDIA_TYPE,
    )


def _answer(request: Request, problem: Problem) -> Response:
    return problem_response(problem, request.state.request_id)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _answer(request, error)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    """Built from place, kind and message only: `input` and `ctx` repeat what was sent."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return _answer(request, BadRequest())
    if _body_was_not_json(request, found):
        return _answer(request, UnsupportedMediaType())
    errors = [_invalid_member(item) for item in found[:100]]
    return _answer(request, Unprocessable(errors=errors))


def _body_was_not_json(request: Request, found: Any) -> bool:
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    is_json = media_type == "application/json" or media_type.endswith("+json")
    whole_body = any(tuple(item["loc"]) == ("body",) for item in found)
    return whole_body and bool(media_type) and not is_json


def _invalid_member(item: dict[str, Any]) -> dict[str, str]:
    place, *steps = item["loc"]
    # A key of the body that we do not know may be a token pasted in the wrong place.
    known = [str(step) for step in steps]
    if item["type"] == "extra_forbidden" and known:
        known[-1] = "(unknown member)"
    pointer = "/" + "/".join(known) if place == "body" else f"{place}/" + "/".join(known)
    return {"pointer": pointer[:300], "code": item["type"], "detail": _safe_message(item)}


def _safe_message(item: dict[str, Any]) -> str:
    # Only messages that Pydantic composes from the schema; a custom one may quote the input.
    if item["type"] in {"value_error", "assertion_error"}:
        return "The value is not valid here."
    return str(item["msg"])[:300]


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kinds: dict[int, type[Problem]] = {
        HTTPStatus.BAD_REQUEST: BadRequest,
        HTTPStatus.NOT_FOUND: NotFound,
        HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowed,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: BodyTooLarge,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: UnsupportedMediaType,
    }
    kind = kinds.get(error.status_code, Problem)
    if kind is NotFound:
        return _answer(request, NotFound("There is nothing at this path."))
    if kind is MethodNotAllowed:
        return _answer(request, MethodNotAllowed(headers={"Allow": _allowed_methods(request)}))
    return _answer(request, kind(headers=error.headers))


def _allowed_methods(request: Request) -> str:
    """Every method of the path: the framework names only those of the first route it met."""
    routes = [
        route
        for route in request.app.routes
        if isinstance(route, APIRoute)
        and route.include_in_schema
        and route.matches(request.scope)[0] is not Match.NONE
    ]
    same_path = [route for route in routes if route.path == routes[0].path]
    allowed = {method for route in same_path for method in route.methods or ()}
    return ", ".join(sorted(allowed)) or "GET, HEAD"


async def _on_early_answer(_request: Request, error: Exception) -> Response:
    assert isinstance(error, EarlyAnswer)
    return Response(error.body, error.status, error.headers)


async def _on_database_error(request: Request, error: Exception) -> Response:
    # Locked, restarting, unreachable, pool exhausted: nothing was committed but what an answer was
    # held for, and that is told again by its Idempotency-Key. So retrying is safe.
    log.warning("database_unavailable", error=type(error).__name__)
    return _answer(request, ServiceUnavailable(retry_after=1))


def install_error_handlers(app: FastAPI) -> None:
    """One handler a family; what none of them knows is answered by the outermost middleware."""
    app.add_exception_handler(EarlyAnswer, _on_early_answer)
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    for kind in (OperationalError, InterfaceError, PoolTimeout):
        app.add_exception_handler(kind, _on_database_error)
