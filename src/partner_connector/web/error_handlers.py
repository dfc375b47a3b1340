"""Handlers that turn every failure into `application/problem+json` without any input in it."""

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
    """Error in one parameter or member of a request."""

    model_config = ConfigDict(title="InvalidMember")

    pointer: str = Field(
        max_length=300,
        description="The place of the error: a JSON pointer into the body, or `query/…`, `path/…` "
        "or `header/…`.",
        examples=["/access_token"],
    )
    code: str = Field(max_length=60, description="The kind of error. Stable.", examples=["missing"])
    detail: str = Field(
        max_length=300, description="The error in words for people.", examples=["Field required"]
    )


class ProblemDocument(BaseModel):
    """Problem details (RFC 9457): the response body of every failure."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(
        max_length=200,
        description="URL of the page about this kind of problem, relative to the service.",
        examples=["/v1/problems#not_found"],
    )
    title: str = Field(
        max_length=200, description="The kind of problem.", examples=["The resource does not exist"]
    )
    status: int = Field(
        ge=400, le=599, description="The HTTP status of the response.", examples=[404]
    )
    detail: str = Field(
        max_length=500,
        description="What is wrong with this request and what to do next, for people.",
        examples=["This path does not exist. Check the URL."],
    )
    instance: str = Field(
        max_length=200,
        description="This occurrence of the problem: the id of the request as a URN.",
        examples=["urn:request:req_01k9z3v0e8fjt9m2c4r6w8xabc"],
    )
    code: str = Field(
        max_length=60,
        description="The kind of problem, for programs. Stable; new codes may be added.",
        examples=["not_found"],
    )
    request_id: str = Field(
        max_length=64,
        description="The id of the request, as in `X-Request-Id` and in the logs of the service.",
        examples=["req_01k9z3v0e8fjt9m2c4r6w8xabc"],
    )
    errors: list[InvalidMember] | None = Field(
        default=None,
        max_length=100,
        description="With `validation_failed`: each error in the request.",
    )
    state: str | None = Field(
        default=None,
        max_length=32,
        description="With `token_request_ended`: the final state of the token request.",
        examples=["accepted"],
    )
    retry_after: int | None = Field(
        default=None,
        ge=0,
        le=86400,
        description="Seconds to wait before you retry. Absent when waiting does not help.",
        examples=[1],
    )


def problem_response(problem: Problem, request_id: str) -> Response:
    """Return the response for a problem."""
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


def _respond(request: Request, problem: Problem) -> Response:
    return problem_response(problem, request.state.request_id)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _respond(request, error)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    """Answer with place, kind and message of each error; `input` and `ctx` would repeat input."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return _respond(request, BadRequest())
    if _is_body_not_json(request, found):
        return _respond(request, UnsupportedMediaType())
    errors = [_invalid_member(item) for item in found[:100]]
    return _respond(request, Unprocessable(errors=errors))


def _is_body_not_json(request: Request, found: Any) -> bool:
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    is_json = media_type == "application/json" or media_type.endswith("+json")
    whole_body = any(tuple(item["loc"]) == ("body",) for item in found)
    return whole_body and bool(media_type) and not is_json


def _invalid_member(item: dict[str, Any]) -> dict[str, str]:
    location, *steps = item["loc"]
    # The name of an unknown member may be a token that was pasted in the wrong place.
    names = [str(step) for step in steps]
    if item["type"] == "extra_forbidden" and names:
        names[-1] = "(unknown member)"
    pointer = ("/" if location == "body" else f"{location}/") + "/".join(names)
    return {"pointer": pointer[:300], "code": item["type"], "detail": _safe_message(item)}


def _safe_message(item: dict[str, Any]) -> str:
    # Pydantic composes its own messages from the schema. A custom message may quote the input.
    if item["type"] in {"value_error", "assertion_error"}:
        return "This value is not valid."
    return str(item["msg"])[:300]


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    classes: dict[int, type[Problem]] = {
        HTTPStatus.BAD_REQUEST: BadRequest,
        HTTPStatus.NOT_FOUND: NotFound,
        HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowed,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: BodyTooLarge,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: UnsupportedMediaType,
    }
    problem_class = classes.get(error.status_code, Problem)
    if problem_class is NotFound:
        return _respond(request, NotFound("This path does not exist. Check the URL."))
    if problem_class is MethodNotAllowed:
        return _respond(request, MethodNotAllowed(headers={"Allow": _allowed_methods(request)}))
    return _respond(request, problem_class(headers=error.headers))


def _allowed_methods(request: Request) -> str:
    """Return all methods of the path. The framework would name those of one route."""
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
    # Locked, restarting, unreachable, or the pool is exhausted. A retry is safe: nothing was
    # committed, except by a request that was waiting for its work (`Prefer: wait`), whose stored
    # response is returned again for its Idempotency-Key.
    log.warning("database_unavailable", error=type(error).__name__)
    return _respond(request, ServiceUnavailable(retry_after=1))


def install_error_handlers(app: FastAPI) -> None:
    """Install one handler for each family of errors. `CrashMiddleware` answers all others."""
    app.add_exception_handler(EarlyAnswer, _on_early_answer)
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    for problem_class in (OperationalError, InterfaceError, PoolTimeout):
        app.add_exception_handler(problem_class, _on_database_error)
