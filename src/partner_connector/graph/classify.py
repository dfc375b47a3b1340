"""Classification of Meta's answers: None for a good answer, else a `GraphError`.

The HTTP status alone is not reliable. Meta sends 200 with an error body or with the text "Service
Unavailable", a permanent error with 500, and rate limits with 400 and 403. So the code and subcode
in the body decide first, never its `type`. See `docs/reference/graph-facts.md#error-object` and
`#error-codes`.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from partner_connector.graph.error_table import Row, find_row
from partner_connector.graph.errors import (
    ErrorClass,
    GraphError,
    LimitScope,
    RetryRule,
    Temporary,
    Throttled,
    UnknownGraphError,
    Unreachable,
)
from partner_connector.graph.reads import hide_links
from partner_connector.graph.redact import redact
from partner_connector.graph.usage import parse_usage, resume_after


@dataclass(frozen=True, slots=True)
class _Envelope:
    """Members of Meta's `error` object; None where one is absent or malformed."""

    code: int | None
    subcode: int | None
    message: str
    fbtrace_id: str | None
    is_transient: bool


def classify(
    http_status: int,
    headers: Mapping[str, str],
    answer: Any,
    *,
    secrets: Iterable[str] = (),
) -> GraphError | None:
    """Return the error of an answer, or None for a good one.

    `answer` comes from `parse_answer`. `secrets` are removed from the error's message.
    """
    if isinstance(answer, dict) and "error" in answer:
        return _from_error_object(answer["error"], http_status, headers, tuple(secrets))
    if http_status < HTTPStatus.MULTIPLE_CHOICES and isinstance(answer, dict | list):
        return None
    return _from_status(http_status, headers)


def unreachable(reason: str, http_status: int | None = None) -> Unreachable:
    """Return an error for a missing answer, or for one that the Graph API did not write."""
    return Unreachable(
        f"Meta's Graph API gave no usable answer ({reason})", http_status=http_status
    )


def _from_status(http_status: int, headers: Mapping[str, str]) -> GraphError:
    """Classify an answer without an error object by its status and headers."""
    if http_status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(
            "Too many requests",
            http_status=http_status,
            resume_after=resume_after(parse_usage(headers)),
            scope=LimitScope.TOKEN,
        )
    if http_status < HTTPStatus.MULTIPLE_CHOICES:
        return unreachable("not a Graph document", http_status)
    if http_status >= HTTPStatus.INTERNAL_SERVER_ERROR or http_status == HTTPStatus.REQUEST_TIMEOUT:
        return unreachable("server error without a reason", http_status)
    return UnknownGraphError("Meta refused the request without a reason", http_status=http_status)


def _from_error_object(
    error: Any, http_status: int, headers: Mapping[str, str], secrets: tuple[str, ...]
) -> GraphError:
    envelope = _read_envelope(error)
    row = find_row(envelope.code, envelope.subcode, envelope.message)
    kind, error_class, user_action, retry = _meaning(row, envelope, http_status)
    return kind(
        redact(envelope.message, secrets) or "Meta gave no message",
        code=envelope.code,
        subcode=envelope.subcode,
        fbtrace_id=redact(envelope.fbtrace_id, secrets) if envelope.fbtrace_id else None,
        http_status=http_status,
        error_class=error_class,
        user_action=user_action,
        retry=retry,
        resume_after=resume_after(parse_usage(headers)) if retry is RetryRule.PARK else None,
        scope=row.scope if row is not None else None,
    )


def _meaning(
    row: Row | None, envelope: _Envelope, http_status: int
) -> tuple[type[GraphError], ErrorClass, str, RetryRule]:
    """Return the table's meaning of an error, or a transient error where Meta marks it so."""
    transient = (ErrorClass.TRANSIENT, "retry", RetryRule.QUICK)
    if row is None:
        if envelope.is_transient or http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return (UnknownGraphError, *transient)
        return UnknownGraphError, ErrorClass.INTERNAL, "contact_support", RetryRule.NEVER
    if envelope.is_transient and row.retry is RetryRule.NEVER and not row.final:
        # Not the row's kind: callers that catch refusals must not treat it as permanent.
        return (Temporary, *transient)
    return row.kind, row.error_class, row.user_action, row.retry


def _read_envelope(error: Any) -> _Envelope:
    if not isinstance(error, dict):
        return _Envelope(None, None, str(error), None, is_transient=False)
    trace = error.get("fbtrace_id")
    return _Envelope(
        code=_integer(error.get("code")),
        # `debug_token` uses `subcode`, all other calls use `error_subcode` (#debug-token).
        subcode=_integer(error.get("error_subcode", error.get("subcode"))),
        message=str(error.get("message") or ""),
        fbtrace_id=trace if isinstance(trace, str) else None,
        is_transient=error.get("is_transient") is True,
    )


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def parse_answer(body: bytes) -> Any:
    """Return the JSON of an answer without its paging links, or None if it is not JSON."""
    try:
        return json.loads(body, object_hook=hide_links)
    except (ValueError, RecursionError):  # RecursionError: nested too deeply
        return None
