"""Problems: every failure a caller can meet, as RFC 9457 describes them.

    Problem
    ├── NotAuthenticated      401
    ├── ScopeMissing          403
    ├── NotFound              404   also for what belongs to another workspace
    ├── NotAcceptable         406
    ├── Conflict              409
    ├── Gone                  410
    ├── PreconditionFailed    412
    ├── Unprocessable         422
    ├── RateLimited           429
    └── ServiceUnavailable    503

A feature subclasses one of these beside its service and gives it a `code`. The class fixes the
status and the words: its docstring says when it happens and `description` what to do; both are
shown. An instance may add a detail that never repeats what the caller sent. `GET /v1/problems` and
`docs/problems.md` list the whole tree.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypeVar

Row = TypeVar("Row")


class OperatorError(Exception):
    """A failure that an operator mends: the command line prints its text and exits with 1."""


class Problem(Exception):
    """One kind of failure. `code` is stable and what programs should act on."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Something went wrong on our side"
    description: ClassVar[str] = (
        "An unexpected failure. It is logged under the request id; retrying may help."
    )

    def __init__(
        self,
        detail: str | None = None,
        *,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
        errors: list[dict[str, Any]] | None = None,
        state: str | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.description
        self.retry_after = retry_after
        self.headers = dict(headers or {})
        self.errors = errors
        self.state = state


class BadRequest(Problem):
    """The request could not be read as JSON or as HTTP."""

    status = 400
    code = "malformed_request"
    title = "The request could not be read"
    description = "Send a body that is whole and valid JSON in UTF-8."


class NotAuthenticated(Problem):
    """No API key, or one that is unknown, expired or revoked. All four look alike on purpose."""

    status = 401
    code = "not_authenticated"
    title = "A valid API key is required"
    description = (
        "Send `Authorization: Bearer pck_…` with a key that is neither expired nor revoked."
    )

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="partner-connector"'})


class ScopeMissing(Problem):
    """The key is good, but may not do this."""

    status = 403
    code = "scope_missing"
    title = "The API key lacks a scope"
    description = "The operation's documentation names the scope that the key needs."


class NotFound(Problem):
    """There is no such thing in this workspace."""

    status = 404
    code = "not_found"
    title = "Not found"
    description = "There is no such thing in this workspace: check the id, and whose key you use."


def found(row: Row | None) -> Row:
    """The row, or `NotFound`: of another workspace, or not there at all, which look alike."""
    if row is None:
        raise NotFound
    return row


class MethodNotAllowed(Problem):
    """The path exists, the method does not."""

    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"
    description = "The `Allow` header lists the methods of this path."


class NotAcceptable(Problem):
    """There is no form of the answer that the client takes."""

    status = 406
    code = "not_acceptable"
    title = "The answer does not come in that form"
    description = (
        "`Accept` names none of the media types of this operation; its documentation does."
    )


class Conflict(Problem):
    """The request is sound, but the present state forbids it. A family: each kind says why."""

    status = 409


class PreconditionFailed(Problem):
    """The resource is not what the caller takes it for."""

    status = 412
    code = "precondition_failed"
    title = "The resource is not what you have read"
    description = (
        "It has changed since you read it, or is there already, or is not there, or another token "
        "for it is being proven. Nothing was done: "
        "read it again and decide anew."
    )


class BodyTooLarge(Problem):
    """More than 64 KiB."""

    status = 413
    code = "body_too_large"
    title = "The body is too large"
    description = "Send less: a request body holds at most 64 KiB."


class UnsupportedMediaType(Problem):
    """Bodies are JSON."""

    status = 415
    code = "unsupported_media_type"
    title = "Send JSON"
    description = "Send the body as `Content-Type: application/json`."


class Unprocessable(Problem):
    """The request was read, and something in it cannot be right."""

    status = 422
    code = "validation_failed"
    title = "The request is not valid"
    description = "`errors` points at each member that is wrong. Values are never repeated."


class CursorInvalid(Unprocessable):
    """A cursor of another list, workspace or set of filters, or one that was tampered with."""

    code = "cursor_invalid"
    title = "The cursor does not belong to this list"
    description = "Use `next_cursor` unchanged, with the same filters and sort, or start anew."


class RateLimited(Problem):
    """The key spent its allowance."""

    status = 429
    code = "rate_limited"
    title = "Too many requests"
    description = "Wait for as long as `Retry-After` says."


class ServiceUnavailable(Problem):
    """The database is busy or away; nothing was changed."""

    status = 503
    code = "database_busy"
    title = "Try again shortly"
    description = "The database is busy or unreachable. Nothing was changed; retry after a moment."


def catalogue() -> list[type[Problem]]:
    """Every kind of problem, ordered by status and code. A family has no code of its own."""

    def tree(kind: type[Problem]) -> Iterator[type[Problem]]:
        if "code" in vars(kind):
            yield kind
        for child in kind.__subclasses__():
            yield from tree(child)

    return sorted(tree(Problem), key=lambda kind: (kind.status, kind.code))
