"""One check, and what all of them come to.

`fail` refuses, `warn` connects with a warning, `unknown` is what Meta did not show and never
refuses by itself.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from partner_connector.db.sql import clean
from partner_connector.features.tokens.schemas import CHECK_IDS

PARTNER_CHECKS = CHECK_IDS
# Our own token may be of another app of ours: which one is recorded, not judged.
HOST_CHECKS = (
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
    """Return the names of the checks of a partner's token, or of our own business's."""
    return PARTNER_CHECKS if owner_is_partner else HOST_CHECKS


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked."""

    id: str
    status: str
    code: str
    detail: str
    remedy: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As it is stored and served."""
        return {**asdict(self), "detail": clean(self.detail, 1000)}


def verdict(checks: Iterable[Check]) -> str:
    """What the checks come to. Excess scopes are told and do not lower it."""
    telling = [check for check in checks if check.id != "scopes_excess"]
    if any(check.status == "fail" for check in telling):
        return "not_connectable"
    if any(check.status in {"warn", "unknown"} for check in telling):
        return "connectable_with_warnings"
    return "connectable"


def malformed(names: Sequence[str], code: str, detail: str) -> list[Check]:
    """The checks of something that is not a token: Meta is not even asked."""
    first = Check("format", "fail", code, detail, "Copy the whole token from Meta's dialog again.")
    return [first, *not_reached(names[1:])]


def called_off(names: Sequence[str]) -> list[Check]:
    """The checks of a token that was withdrawn, or overtaken by a newer one, before its end."""
    detail = "The token was withdrawn, or a newer one was handed in, before this one was checked."
    return [Check("format", "fail", "superseded", detail), *not_reached(names[1:])]


_NO_VERDICT = frozenset({"meta_refused", "internal_error"})


def is_no_verdict(checks: Iterable[Check]) -> bool:
    """Whether these are the checks of a token that could not be checked, whatever it is worth."""
    live = next((check for check in checks if check.id == "live"), None)
    return live is not None and (live.code in _NO_VERDICT or live.code == "not_shown")


def given_up(names: Sequence[str], code: str, detail: str) -> list[Check]:
    """The checks of a token that could not be checked at all, and not for lack of patience."""
    live = Check("live", "fail", code, detail, "Try again later; if it stays so, tell us.")
    return [Check("format", "unknown", code, detail), live, *not_reached(names[2:])]


def not_reached(names: Iterable[str]) -> list[Check]:
    """Checks that could not run, since an earlier one failed."""
    detail = "Not checked, since an earlier check failed."
    return [Check(name, "unknown", "not_reached", detail) for name in names]
