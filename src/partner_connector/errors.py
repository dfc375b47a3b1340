"""Problems: every failure that an operation can answer with, in the form of RFC 9457.

    Problem
    ├── NotAuthenticated      401
    ├── ScopeMissing          403
    ├── NotFound              404   also when the resource is in another workspace
    ├── NotAcceptable         406
    ├── Conflict              409
    ├── Gone                  410
    ├── PreconditionFailed    412
    ├── Unprocessable         422
    ├── RateLimited           429
    └── ServiceUnavailable    503

A feature subclasses one of these next to its service and gives the subclass a `code`. The class
sets the status and the texts: the docstring says when the problem happens, `title` what is wrong
and `description` what to do next. All three are public. An instance may have its own `detail`,
which never repeats input. `GET /v1/problems` and `docs/reference/problems.md` list every kind.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypeVar

Row = TypeVar("Row")


class OperatorError(Exception):
    """A failure that the operator can fix. The command line prints its text and exits with 1."""


class Problem(Exception):
    """The server failed unexpectedly while it handled the request."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "The server failed"
    description: ClassVar[str] = (
        "Retry the request, with the same `Idempotency-Key` if it has one. If it fails again, "
        "report the `request_id` to the operator of this service, who finds it in the logs."
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
    """The body is not valid JSON, or the request is not valid HTTP."""

    status = 400
    code = "malformed_request"
    title = "The request could not be read"
    description = "Send a complete body in valid JSON, encoded in UTF-8."


class NotAuthenticated(Problem):
    """The API key is missing, unknown, expired or revoked. The response is the same in all four
    cases, so that guessing a key reveals nothing.
    """

    status = 401
    code = "not_authenticated"
    title = "A valid API key is required"
    description = (
        "Send the header `Authorization: Bearer pck_…` with an API key that is neither expired nor "
        "revoked."
    )

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="partner-connector"'})


class ScopeMissing(Problem):
    """The API key is valid, but it does not have the scope that the operation needs."""

    status = 403
    code = "scope_missing"
    title = "The API key lacks a scope"
    description = "Use an API key with the scope that the operation's documentation names."


class NotFound(Problem):
    """The path, or the resource with this id, does not exist in the workspace of the API key."""

    status = 404
    code = "not_found"
    title = "The resource does not exist"
    description = (
        "Nothing with this id exists in this workspace. Check the id, and check that the API key "
        "belongs to the right workspace."
    )


def found(row: Row | None) -> Row:
    """Return the row. Raise `NotFound` when the query for this workspace found none, so that a row
    of another workspace looks like a missing row.
    """
    if row is None:
        raise NotFound
    return row


class MethodNotAllowed(Problem):
    """The path exists, but not with this HTTP method."""

    status = 405
    code = "method_not_allowed"
    title = "Method not allowed"
    description = "Use one of the methods that the `Allow` header of this response lists."


class NotAcceptable(Problem):
    """The `Accept` header names no media type that the operation can return."""

    status = 406
    code = "not_acceptable"
    title = "The response is not available in this media type"
    description = (
        "Send `Accept` with a media type from the operation's documentation, or leave `Accept` out."
    )


class Conflict(Problem):
    """The request is valid, but the current state does not allow it. Subclasses say why."""

    status = 409


class PreconditionFailed(Problem):
    """The resource does not match `If-Match` or `If-None-Match`: it has changed, exists already,
    does not exist, or another token for it is being validated.
    """

    status = 412
    code = "precondition_failed"
    title = "The resource does not match the precondition"
    description = (
        "Nothing was changed. Read the resource again, decide again whether the request is still "
        "right, and send it with the new `ETag`."
    )


class BodyTooLarge(Problem):
    """The request body is larger than 64 KiB."""

    status = 413
    code = "body_too_large"
    title = "The body is too large"
    description = "Send a smaller body. The limit is 64 KiB."


class UnsupportedMediaType(Problem):
    """The `Content-Type` of the request body is not JSON."""

    status = 415
    code = "unsupported_media_type"
    title = "The body is not sent as JSON"
    description = "Send the body as JSON, with the header `Content-Type: application/json`."


class Unprocessable(Problem):
    """The request could be read, but a parameter or a member of its body is not valid."""

    status = 422
    code = "validation_failed"
    title = "The request is not valid"
    description = (
        "Correct each parameter and member that `errors` points at. The response never repeats "
        "the values that were sent."
    )


class CursorInvalid(Unprocessable):
    """The cursor was altered, or it comes from another list, workspace or set of filters."""

    code = "cursor_invalid"
    title = "The cursor does not belong to this list"
    description = (
        "Send `next_cursor` unchanged, with the same filters and sort, or leave `cursor` out to "
        "start again at the first page."
    )


class RateLimited(Problem):
    """The API key, the code or the network address has used up its requests for now."""

    status = 429
    code = "rate_limited"
    title = "Too many requests"
    description = "Wait for the seconds in `Retry-After`, then send the request again."


class ServiceUnavailable(Problem):
    """The database is busy, restarting or unreachable. Nothing was changed, unless the request was
    already waiting for its result (`Prefer: wait`).
    """

    status = 503
    code = "database_busy"
    title = "The database does not answer"
    description = (
        "Wait for the seconds in `Retry-After` and send the request again, with the same "
        "`Idempotency-Key` if it has one. Repeating it is safe."
    )


def catalogue() -> list[type[Problem]]:
    """Return every class of problem that has its own `code`, ordered by status and code."""

    def tree(kind: type[Problem]) -> Iterator[type[Problem]]:
        if "code" in vars(kind):
            yield kind
        for child in kind.__subclasses__():
            yield from tree(child)

    return sorted(tree(Problem), key=lambda kind: (kind.status, kind.code))
