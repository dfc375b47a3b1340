"""Rate-limit budgets: one for each app, token and object that Meta limits.

The functions are pure: they use no clock, no state and no network. Facts about Meta's limits are on
the page `docs/reference/graph-facts.md`; this module names its headings as `#…`.

The key of a budget names what is limited:

    app:<app id>            all calls of the app
    token:<account>         the calls of one token; the caller chooses the account name
    reader:<number>         the calls of a token without an account name; known to its reader only
    ad_account:<number>     one ad account, without `act_`
    page:<id>, catalog:<id>
    <object id>/<type>      as in `x-business-use-case-usage`; the id is opaque (#usage-headers)
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from partner_connector.graph.errors import LimitScope
from partner_connector.graph.usage import SLOW_FROM_PERCENT, Usage, resume_after

FULL_PERCENT = 100.0
# Meta counts over a rolling hour: an older report is worthless (#usage-headers).
WINDOW_SECONDS = 3600.0
# Backoff where Meta gives no waiting time (#waiting): one minute, doubled up to the whole window.
_FIRST_BLOCK_SECONDS = 60.0
_LONGEST_BACKOFF_SECONDS = WINDOW_SECONDS
# Page limits are counted over a day (#limit-scopes); a longer waiting time is cut to this.
LONGEST_BLOCK_SECONDS = 24 * 3600.0

_OBJECT_SCOPES = {
    LimitScope.AD_ACCOUNT: "ad_account",
    LimitScope.PAGE: "page",
    LimitScope.CATALOG: "catalog",
}
# Reports that name no object: they apply to the object that was read (#usage-headers).
_REPORTED_SCOPES = {
    "app": LimitScope.APP,
    "ad_account": LimitScope.AD_ACCOUNT,
    "ads_insights": LimitScope.AD_ACCOUNT,
    "page": LimitScope.PAGE,
}
_AD_ACCOUNT_PREFIX = "act_"


@dataclass(frozen=True, slots=True)
class Budget:
    """Usage of one rate limit in percent, and the end of its block.

    Times are Unix seconds. `blocks` counts consecutive blocks, each within an hour of the one
    before.
    """

    percent: float = 0.0
    seen_at: float = 0.0
    blocked_until: float | None = None
    blocks: int = 0

    def percent_at(self, now: float) -> float:
        """Return the used percentage; 0 when the report is older than the window."""
        return self.percent if now - self.seen_at < WINDOW_SECONDS else 0.0

    def wait_at(self, now: float) -> float | None:
        """Return the seconds until the block ends, to the millisecond; None when not blocked."""
        wait = round((self.blocked_until or 0.0) - now, 3)
        return wait if wait > 0.0 else None

    def is_relevant_at(self, now: float) -> bool:
        """Return whether the budget affects the next calls.

        A block counts for one hour after its end, because the next block is then longer.
        """
        is_recent = self.blocked_until is not None and now - self.blocked_until < WINDOW_SECONDS
        return is_recent or self.percent_at(now) >= SLOW_FROM_PERCENT


@dataclass(frozen=True, slots=True)
class CallContext:
    """The app, token and object of a call. They decide which budgets the call uses."""

    app_key: str
    token_key: str
    subject: str | None = None

    @property
    def object_id(self) -> str | None:
        """Digits of the subject, as Meta's reports name it. None for `me`."""
        number = (self.subject or "").removeprefix(_AD_ACCOUNT_PREFIX)
        return number if number.isascii() and number.isdigit() else None

    @property
    def is_ad_account(self) -> bool:
        """True for an ad account: only its id has a prefix."""
        return self.object_id is not None and (self.subject or "").startswith(_AD_ACCOUNT_PREFIX)

    def key_of_scope(self, scope: LimitScope) -> str:
        """Return the key of the budget that refused the call; the token's if no object fits."""
        if scope is LimitScope.APP:
            return self.app_key
        fits = self.is_ad_account if scope is LimitScope.AD_ACCOUNT else not self.is_ad_account
        if scope in _OBJECT_SCOPES and self.object_id is not None and fits:
            return f"{_OBJECT_SCOPES[scope]}:{self.object_id}"
        return self.token_key

    def key_of_report(self, usage: Usage) -> str:
        """Return the key of the budget that a usage report describes."""
        scope = _REPORTED_SCOPES.get(usage.key)
        return usage.key if scope is None else self.key_of_scope(scope)


def object_of(key: str) -> str | None:
    """Return the id of the object that a budget limits; None for an app or a token."""
    name, _, number = key.partition(":")
    if number:
        return number if name in _OBJECT_SCOPES.values() else None
    return key.partition("/")[0]


def reported(before: Budget | None, usage: Usage, of_object: Sequence[Usage], now: float) -> Budget:
    """Return the budget after a usage report; `of_object` are all reports on the same object.

    A budget at 100 % is blocked at once, even if Meta has not refused a call, because calls above
    the limit make the wait longer (#waiting).
    """
    budget = replace(before or Budget(), percent=usage.percent, seen_at=now)
    if usage.percent < FULL_PERCENT:
        return budget
    return blocked(budget, resume_after(of_object), now)


def blocked(before: Budget | None, seconds: float | None, now: float) -> Budget:
    """Return the budget after a refused call; `seconds` is Meta's waiting time, None if absent.

    Calls that were sent before the block are refused as well. They can extend the block, but they
    do not count as another block.
    """
    budget = before or Budget(seen_at=now)
    remaining = budget.wait_at(now)
    if remaining is not None and seconds is None:
        return budget
    until = now + min(seconds or _backoff(budget, now), LONGEST_BLOCK_SECONDS)
    if remaining is not None:
        return replace(budget, blocked_until=max(until, now + remaining))
    return replace(budget, blocked_until=until, blocks=_recent_blocks(budget, now) + 1)


def merged(one: Budget, other: Budget) -> Budget:
    """Merge two observations of the same budget: the newest report and the longest block.

    A good answer does not end a block. No process sends calls during a block, so such an answer
    belongs to a call that was sent before.
    """
    newest = max(one, other, key=lambda budget: budget.seen_at)
    longest = max(one, other, key=lambda budget: budget.blocked_until or 0.0)
    return replace(newest, blocked_until=longest.blocked_until, blocks=longest.blocks)


def _backoff(budget: Budget, now: float) -> float:
    doubled = _FIRST_BLOCK_SECONDS * 2.0 ** min(_recent_blocks(budget, now), 16)
    return min(doubled, _LONGEST_BACKOFF_SECONDS)


def _recent_blocks(budget: Budget, now: float) -> int:
    is_recent = budget.blocked_until is not None and now - budget.blocked_until < WINDOW_SECONDS
    return budget.blocks if is_recent else 0
