"""Turn one answer into its meaning: None when it is good, else the error that it is.

The HTTP status decides little here. Meta answers 200 with an error body or with the text
"Service Unavailable" (5.1 [K]), refuses for ever with a 500 (5.2 [O]) and hides its limits in
400 and 403; so the body is asked first, by code and subcode, never by `type`.
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
    """Meta's `error` object, read tolerantly."""

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
    """What an answer read by `parse_answer` means. `secrets` must not survive in the message."""
    if isinstance(answer, dict) and "error" in answer:
        return _from_error_object(answer["error"], http_status, headers, tuple(secrets))
    if http_status < HTTPStatus.MULTIPLE_CHOICES and isinstance(answer, dict | list):
        return None
    return _from_status(http_status, headers)


def unreachable(reason: str, http_status: int | None = None) -> Unreachable:
    """An error for an answer that never came, or that the API did not write."""
    return Unreachable(
        f"Meta's Graph API gave no usable answer ({reason})", http_status=http_status
    )


def _from_status(http_status: int, headers: Mapping[str, str]) -> GraphError:
    """Judge an answer without an error object by the little it has."""
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
    return UnknownGraphError("Refused without a reason", http_status=http_status)


def _from_error_object(
    error: Any, http_status: int, headers: Mapping[str, str], secrets: tuple[str, ...]
) -> GraphError:
    envelope = _read_envelope(error)
    row = find_row(envelope.code, envelope.subcode, envelope.message)
    kind, error_class, user_action, retry = _verdict(row, envelope, http_status)
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


def _verdict(
    row: Row | None, envelope: _Envelope, http_status: int
) -> tuple[type[GraphError], ErrorClass, str, RetryRule]:
    """The table's word, softened where Meta itself says that the trouble will pass."""
    passing = (ErrorClass.TRANSIENT, "retry", RetryRule.QUICK)
    if row is None:
        if envelope.is_transient or http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return (UnknownGraphError, *passing)
        return UnknownGraphError, ErrorClass.INTERNAL, "contact_support", RetryRule.NEVER
    if envelope.is_transient and row.retry is RetryRule.NEVER and not row.final:
        # Not the row's kind: who catches refusals would take what passes for one.
        return (Temporary, *passing)
    return row.kind, row.error_class, row.user_action, row.retry


def _read_envelope(error: Any) -> _Envelope:
    if not isinstance(error, dict):
        return _Envelope(None, None, str(error), None, is_transient=False)
    trace = error.get("fbtrace_id")
    return _Envelope(
        code=_integer(error.get("code")),
        # debug_token spells it `subcode`, everything else `error_subcode` (4.1 [D]).
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
    """The JSON of an answer with its links blanked, or None for what is no JSON at all."""
    try:
        return json.loads(body, object_hook=hide_links)
    except (ValueError, RecursionError):  # the second for brackets without end
        return None
