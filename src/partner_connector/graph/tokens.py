"""Result of `debug_token` (`docs/reference/graph-facts.md#debug-token`)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from partner_connector.graph.redact import redact


@dataclass(frozen=True, slots=True)
class TokenInspection:
    """Meta's inspection of one token; an invalid token is a result too, not an exception.

    A time is None for 0 (never) and for a missing value (unknown); `never_expires` distinguishes
    the two.
    """

    app_id: str | None
    application: str | None
    type: str | None  # USER, PAGE, APP, SYSTEM_USER; Meta may add values
    is_valid: bool
    expires_at: datetime | None
    data_access_expires_at: datetime | None
    never_expires: bool  # neither expiry time is set; Meta may still revoke the token
    scopes: frozenset[str]
    # Scope → ids of the objects it is limited to; None where it covers all objects.
    granular_scopes: Mapping[str, frozenset[str] | None]
    user_id: str | None
    error_code: int | None
    error_subcode: int | None
    error_message: str | None

    @classmethod
    def from_answer(
        cls, body: Mapping[str, Any], *, secrets: Iterable[str] = ()
    ) -> "TokenInspection":
        """Convert the body of `debug_token`; most of its members may be missing."""
        data = _object(body.get("data"))
        error = _object(data.get("error"))
        message = error.get("message")
        return cls(
            app_id=_text(data.get("app_id")),
            application=_text(data.get("application")),
            type=_text(data.get("type")),
            is_valid=data.get("is_valid") is True,
            expires_at=_time(data.get("expires_at")),
            data_access_expires_at=_time(data.get("data_access_expires_at")),
            never_expires=_integer(data.get("expires_at")) == 0
            and not data.get("data_access_expires_at"),
            scopes=frozenset(str(scope) for scope in _list(data.get("scopes"))),
            granular_scopes=_granular(_list(data.get("granular_scopes"))),
            user_id=_text(data.get("user_id")),
            error_code=_integer(error.get("code")),
            error_subcode=_integer(error.get("subcode", error.get("error_subcode"))),
            error_message=redact(message, secrets) if isinstance(message, str) else None,
        )

    def granular_as_json(self) -> dict[str, list[str] | None]:
        """Return each scope with its sorted object ids, None where it covers all objects."""
        return {
            scope: None if targets is None else sorted(targets)
            for scope, targets in self.granular_scopes.items()
        }


def _granular(entries: list[Any]) -> dict[str, frozenset[str] | None]:
    """Return the limits per scope; a scope with two entries covers the objects of both."""
    found: dict[str, frozenset[str] | None] = {}
    for entry in entries:
        if not isinstance(entry, dict) or "scope" not in entry:
            continue
        scope = str(entry["scope"])
        targets = entry.get("target_ids")
        ids = None if targets is None else frozenset(str(target) for target in _list(targets))
        before = found.get(scope, frozenset())
        found[scope] = None if ids is None or before is None else ids | before
    return found


def _time(value: Any) -> datetime | None:
    seconds = _integer(value)
    if not seconds:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    """Convert an id to text: old answers have numbers (#debug-token)."""
    return None if value is None else str(value)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
