"""Results of checks, and the verdict that follows from them.

A check with `fail` refuses the token. `warn` accepts the token with a warning. `unknown` means that
Meta did not show the fact, or that the check did not run; it never refuses the token by itself.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from partner_connector.db.sql import storable_text
from partner_connector.features.tokens.schemas import CHECK_IDS

PARTNER_CHECKS = CHECK_IDS
# Our own business's token may be for another app: the app is stored and not checked.
INTEGRATION_CHECKS = (
    "format",
    "live",
    "token_type",
    "owner_business",
    "scopes_required",
    "expiry",
    "data_access_expiry",
    "not_reused",
)


def checks_of(owner_is_partner: bool) -> tuple[str, ...]:
    """Return the ids of the checks for a partner's token, or for our own business's token."""
    return PARTNER_CHECKS if owner_is_partner else INTEGRATION_CHECKS


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one check."""

    id: str
    status: str
    code: str
    detail: str
    remedy: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the check as JSON, as it is stored and as the API returns it."""
        return {**asdict(self), "detail": storable_text(self.detail, 1000)}


def verdict(checks: Iterable[Check]) -> str:
    """Return the verdict of the checks. Excess scopes are listed but do not change the verdict."""
    relevant = [check for check in checks if check.id != "scopes_excess"]
    if any(check.status == "fail" for check in relevant):
        return "not_connectable"
    if any(check.status in {"warn", "unknown"} for check in relevant):
        return "connectable_with_warnings"
    return "connectable"


def not_a_token(names: Sequence[str], code: str, detail: str) -> list[Check]:
    """Return the checks of a text that is not a token or cannot be decrypted, without calling Meta.

    The check `format` fails with `code` and `detail`.
    """
    first = Check("format", "fail", code, detail, "Copy the whole token from Meta's dialog again.")
    return [first, *skipped(names[1:])]


def withdrawn(names: Sequence[str]) -> list[Check]:
    """Return the checks of a token that was withdrawn or replaced during its validation."""
    detail = "The token was withdrawn, or a newer token was handed over, before the check ended."
    return [Check("format", "fail", "superseded", detail), *skipped(names[1:])]


_TRY_LATER = "Try again later. If it fails again, contact the team that runs this service."
_NO_VERDICT = frozenset({"meta_refused", "internal_error"})


def is_inconclusive(checks: Iterable[Check]) -> bool:
    """Return whether the checks are inconclusive: the token could not be checked at all."""
    live = next((check for check in checks if check.id == "live"), None)
    return live is not None and (live.code in _NO_VERDICT or live.code == "not_shown")


def inconclusive(names: Sequence[str], code: str, detail: str) -> list[Check]:
    """Return the checks of a token that could not be checked and where waiting does not help."""
    live = Check("live", "fail", code, detail, _TRY_LATER)
    return [Check("format", "unknown", code, detail), live, *skipped(names[2:])]


def skipped(names: Iterable[str]) -> list[Check]:
    """Return checks that did not run because an earlier one failed."""
    detail = "Not checked, because an earlier check failed."
    return [Check(name, "unknown", "not_reached", detail) for name in names]
