"""What Meta lets us call, as we know it: one budget for each thing that a limit is set on.

Pure: no clock, no memory, no network. Limits: REFERENCE 6 [D] gapi/overview/rate-limiting.

A key says what is limited:

    app:<app id>            all calls of the app
    token:<account>         the calls of one token; the account is whatever name the caller gave it
    reader:<number>         the same for a token without a name: known to its reader alone
    ad_account:<number>     one ad account, without `act_`
    page:<id>, catalog:<id>
    <object id>/<type>      as `x-business-use-case-usage` names it; the id is opaque (6.1 [D])
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from partner_connector.graph.errors import LimitScope
from partner_connector.graph.usage import SLOW_FROM_PERCENT, Usage, resume_after

FULL_PERCENT = 100.0
# Meta counts over a rolling hour: an older report says nothing (6.1 [D]).
WINDOW_SECONDS = 3600.0
# When Meta does not say for how long (6.3): from a minute, doubled, to the whole window.
_FIRST_BLOCK_SECONDS = 60.0
_LONGEST_GUESS_SECONDS = WINDOW_SECONDS
# Page limits are counted over a day (6.2 [D]); a longer word of Meta's is not believed.
LONGEST_BLOCK_SECONDS = 24 * 3600.0

_OBJECT_SCOPES = {
    LimitScope.AD_ACCOUNT: "ad_account",
    LimitScope.PAGE: "page",
    LimitScope.CATALOG: "catalog",
}
# Reports that name no object: they are about what the call was about (6.1 [D]).
_REPORTED_SCOPES = {
    "app": LimitScope.APP,
    "ad_account": LimitScope.AD_ACCOUNT,
    "ads_insights": LimitScope.AD_ACCOUNT,
    "page": LimitScope.PAGE,
}
_AD_ACCOUNT_PREFIX = "act_"


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of one allowance is used, and until when it may not be used at all.

    Times are unix seconds. `blocks` counts the blocks that followed each other within an hour.
    """

    percent: float = 0.0
    seen_at: float = 0.0
    blocked_until: float | None = None
    blocks: int = 0

    def percent_at(self, now: float) -> float:
        """The share in use; zero once the report is too old to say anything."""
        return self.percent if now - self.seen_at < WINDOW_SECONDS else 0.0

    def wait_at(self, now: float) -> float | None:
        """Seconds until it may be used again, to the millisecond; None when it may be used."""
        wait = round((self.blocked_until or 0.0) - now, 3)
        return wait if wait > 0.0 else None

    def matters_at(self, now: float) -> bool:
        """Whether anybody would act differently for knowing it.

        A block that is over counts for an hour more: one that follows it is the longer.
        """
        lately = self.blocked_until is not None and now - self.blocked_until < WINDOW_SECONDS
        return lately or self.percent_at(now) >= SLOW_FROM_PERCENT


@dataclass(frozen=True, slots=True)
class Concern:
    """Whose call it is, and about what: from this follows which budgets it draws on."""

    app_key: str
    token_key: str
    subject: str | None = None

    @property
    def object_id(self) -> str | None:
        """The subject as Meta's reports name it: digits. `me` is another one for each token."""
        number = (self.subject or "").removeprefix(_AD_ACCOUNT_PREFIX)
        return number if number.isascii() and number.isdigit() else None

    @property
    def is_ad_account(self) -> bool:
        """No other id is written with a prefix."""
        return self.object_id is not None and (self.subject or "").startswith(_AD_ACCOUNT_PREFIX)

    def key_of_scope(self, scope: LimitScope) -> str:
        """The budget that a refusal is about; the token's where the call names no such object."""
        if scope is LimitScope.APP:
            return self.app_key
        fits = self.is_ad_account if scope is LimitScope.AD_ACCOUNT else not self.is_ad_account
        if scope in _OBJECT_SCOPES and self.object_id is not None and fits:
            return f"{_OBJECT_SCOPES[scope]}:{self.object_id}"
        return self.token_key

    def key_of_report(self, usage: Usage) -> str:
        """The budget that a report is about."""
        scope = _REPORTED_SCOPES.get(usage.key)
        return usage.key if scope is None else self.key_of_scope(scope)


def object_of(key: str) -> str | None:
    """The id of the object that a budget is about; None for an app's or a token's."""
    name, _, number = key.partition(":")
    if number:
        return number if name in _OBJECT_SCOPES.values() else None
    return key.partition("/")[0]


def reported(before: Budget | None, usage: Usage, beside: Sequence[Usage], now: float) -> Budget:
    """The budget after a report on it; `beside` are the answer's reports on the same object.

    A full one is blocked though nothing was refused yet: calls against a full allowance lengthen
    the wait (6.3 [D]).
    """
    budget = replace(before or Budget(), percent=usage.percent, seen_at=now)
    if usage.percent < FULL_PERCENT:
        return budget
    return blocked(budget, resume_after(beside), now)


def blocked(before: Budget | None, seconds: float | None, now: float) -> Budget:
    """The budget after a refusal; `seconds` as Meta told them, None when it did not.

    While it is blocked, calls that were under way are refused too: they can make the wait longer
    as Meta tells it, but they are not one more block.
    """
    budget = before or Budget(seen_at=now)
    under_way = budget.wait_at(now)
    if under_way is not None and seconds is None:
        return budget
    until = now + min(seconds or _guess(budget, now), LONGEST_BLOCK_SECONDS)
    if under_way is not None:
        return replace(budget, blocked_until=max(until, now + under_way))
    return replace(budget, blocked_until=until, blocks=_blocks_lately(budget, now) + 1)


def merged(one: Budget, other: Budget) -> Budget:
    """What two who watched the same budget know together.

    The newest report counts, and the block that lasts longest. No good answer ends a block:
    nobody sends while it lasts, so one that comes meanwhile is to a call from before.
    """
    newest = max(one, other, key=lambda budget: budget.seen_at)
    longest = max(one, other, key=lambda budget: budget.blocked_until or 0.0)
    return replace(newest, blocked_until=longest.blocked_until, blocks=longest.blocks)


def _guess(budget: Budget, now: float) -> float:
    doubled = _FIRST_BLOCK_SECONDS * 2.0 ** min(_blocks_lately(budget, now), 16)
    return min(doubled, _LONGEST_GUESS_SECONDS)


def _blocks_lately(budget: Budget, now: float) -> int:
    lately = budget.blocked_until is not None and now - budget.blocked_until < WINDOW_SECONDS
    return budget.blocks if lately else 0
