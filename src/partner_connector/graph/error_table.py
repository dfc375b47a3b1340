"""Meta's error codes, one row each: what they mean, who must act, and whether to repeat.

The first row that fits wins, so the narrow rows stand before the wide ones. `source` names the
section of our reference notes and its mark: [D] Meta's documentation, [K] its SDK, [O] observed
in real traffic, [3] a third party's code, [?] inferred.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from partner_connector.graph.errors import (
    Blocked,
    CursorExpired,
    ErrorClass,
    GraphError,
    InvalidRequest,
    LimitScope,
    NotFoundOrForbidden,
    PermissionMissing,
    RetryRule,
    Temporary,
    Throttled,
    TokenDead,
    TooMuchData,
)


@dataclass(frozen=True, slots=True)
class Row:
    """One meaning; an empty column fits everything."""

    kind: type[GraphError]
    error_class: ErrorClass
    user_action: str
    retry: RetryRule
    source: str
    codes: range | None = None
    subcode: int | None = None
    text: str | None = None  # part of Meta's message, compared without regard to case
    final: bool = False  # true even where Meta adds `is_transient: true` or HTTP 500
    scope: LimitScope | None = None  # what a limit is set on

    def fits(self, code: int | None, subcode: int | None, message: str) -> bool:
        return (
            (self.codes is None or code in self.codes)
            and (self.subcode is None or self.subcode == subcode)
            and (self.text is None or self.text in message.casefold())
        )


def _one(code: int) -> range:
    return range(code, code + 1)


def _dead(source: str, *, code: int, subcode: int | None = None, human: bool = False) -> Row:
    action = "resolve_account_checkpoint" if human else "reconnect_token"
    return Row(
        kind=TokenDead,
        error_class=ErrorClass.CONFIGURATION,
        user_action=action,
        retry=RetryRule.NEVER,
        source=source,
        codes=_one(code),
        subcode=subcode,
        final=True,
    )


def _permission(
    source: str,
    *,
    codes: range | None = None,
    subcode: int | None = None,
    action: str = "grant_permission",
    kind: type[GraphError] = PermissionMissing,
) -> Row:
    return Row(
        kind=kind,
        error_class=ErrorClass.PERMISSION,
        user_action=action,
        retry=RetryRule.NEVER,
        source=source,
        codes=codes,
        subcode=subcode,
    )


def _throttled(
    source: str, *, codes: range, subcode: int | None = None, scope: LimitScope = LimitScope.TOKEN
) -> Row:
    return Row(
        kind=Throttled,
        error_class=ErrorClass.RATE_LIMIT,
        user_action="wait",
        retry=RetryRule.PARK,
        source=source,
        codes=codes,
        subcode=subcode,
        scope=scope,
    )


def _transient(
    source: str,
    *,
    codes: range,
    kind: type[GraphError] = Temporary,
    text: str | None = None,
    retry: RetryRule = RetryRule.QUICK,
) -> Row:
    return Row(
        kind=kind,
        error_class=ErrorClass.TRANSIENT,
        user_action="retry",
        retry=retry,
        source=source,
        codes=codes,
        text=text,
    )


def _our_fault(
    source: str,
    *,
    codes: range | None = None,
    subcode: int | None = None,
    text: str | None = None,
    retry: RetryRule = RetryRule.NEVER,
    kind: type[GraphError] = InvalidRequest,
    final: bool = False,
) -> Row:
    return Row(
        kind=kind,
        error_class=ErrorClass.INTERNAL,
        user_action="contact_support",
        retry=retry,
        source=source,
        codes=codes,
        subcode=subcode,
        text=text,
        final=final,
    )


def _settings(source: str, *, codes: range, text: str | None = None) -> Row:
    return Row(
        kind=InvalidRequest,
        error_class=ErrorClass.CONFIGURATION,
        user_action="review_configuration",
        retry=RetryRule.NEVER,
        source=source,
        codes=codes,
        text=text,
    )


ERROR_TABLE: tuple[Row, ...] = (
    # Answers told apart by their text only.
    _transient(
        "5.2 [O] code 1, reduce the amount of data",
        codes=_one(1),
        text="reduce the amount of data",
        kind=TooMuchData,
        retry=RetryRule.SHRINK,
    ),
    # HTTP 500 makes this one look like trouble at Meta's end; it will never pass.
    _our_fault("5.2, 8.3 [O] ids=", codes=_one(100), text="ids query parameter", final=True),
    _settings("5.2 [3] wrong or missing proof", codes=_one(100), text="appsecret_proof"),
    _settings("4.1 [O] debug_token", codes=_one(100), text="must provide an app access token"),
    _our_fault("5.2 [D] cursor too deep", codes=_one(100), text="after cursor specified exceeds"),
    _our_fault("8.1 [3] over 50 operations", text="too many requests in batch message"),
    # Subcodes that mean the same under any code.
    _our_fault("5.2 [O] not business-scoped", subcode=1752100),
    # 190: the token.
    _permission("5.2 [D] no role on the Page", codes=_one(190), subcode=492),
    _dead("5.2 [D] app removed", code=190, subcode=458),
    _dead("5.2 [D] checkpoint", code=190, subcode=459, human=True),
    _dead("5.2 [O] password changed", code=190, subcode=460),
    _dead("5.2 [O] expired", code=190, subcode=463),
    _dead("5.2 [D] unconfirmed user", code=190, subcode=464, human=True),
    _dead("5.2 [D] invalid", code=190, subcode=467),
    _dead("5.2 [O] inactive for 90 days", code=190, subcode=493),
    _dead("5.2 [D] any other 190", code=190),
    _dead("5.2 [D] legacy session", code=102),
    # 100: the request, or an object this token cannot see.
    _permission(
        "5.2 [O] unsupported get request",
        codes=_one(100),
        subcode=33,
        action="check_asset_access",
        kind=NotFoundOrForbidden,
    ),
    _permission(
        "5.2 [3] inaccessible object",
        codes=_one(100),
        subcode=13,
        action="check_asset_access",
        kind=NotFoundOrForbidden,
    ),
    _our_fault(
        "5.2 [3] too much data (insights)",
        codes=_one(100),
        subcode=1487534,
        kind=TooMuchData,
        retry=RetryRule.SHRINK,
    ),
    _our_fault("5.2 [D] targeting category gone", codes=_one(100), subcode=1487694),
    _our_fault("5.2 [D] task combination", codes=_one(100), subcode=1752129),
    _our_fault("5.2 [O] invalid parameter", codes=_one(100)),
    _permission(
        "5.2 [O] unknown alias",
        codes=_one(803),
        action="check_asset_access",
        kind=NotFoundOrForbidden,
    ),
    # Limits. Each is raised at once: the wait is minutes, which is no work for a request loop.
    # What a limit is set on follows from 6.2 [D] and the messages [O]; where neither tells, it is
    # taken for the token's, so that the others go on [?].
    _throttled("5.2 [O] app limit", codes=_one(4), scope=LimitScope.APP),
    _throttled(
        "5.2 [O] legacy ads token limit; per ad account 6.2 [?]",
        codes=_one(17),
        subcode=2446079,
        scope=LimitScope.AD_ACCOUNT,
    ),
    _throttled("5.2 [D] user limit", codes=_one(17)),
    _throttled("5.2 [D] Page limit", codes=_one(32), scope=LimitScope.PAGE),
    _throttled("5.2 [D] application limit", codes=_one(341), scope=LimitScope.APP),
    _throttled("5.2 [3] unusual volume", codes=_one(613), subcode=1996),
    _throttled(
        "5.2 [3] ad account limit", codes=_one(613), subcode=1487742, scope=LimitScope.AD_ACCOUNT
    ),
    _throttled("5.2 [3] 100 writes a second", codes=_one(613), subcode=5044001),
    _throttled("5.2 [D] custom limit", codes=_one(613)),
    _throttled("5.2 [O] ads insights, 6.2 [D]", codes=_one(80000), scope=LimitScope.AD_ACCOUNT),
    _throttled("5.2 [D] Page calls", codes=_one(80001), scope=LimitScope.PAGE),
    _throttled(
        "5.2 [D] custom audience, [O] ads management: per ad account",
        codes=range(80003, 80005),
        scope=LimitScope.AD_ACCOUNT,
    ),
    _throttled("5.2 [D] catalog management", codes=_one(80009), scope=LimitScope.CATALOG),
    _throttled("5.2 [D] catalog batch", codes=_one(80014), scope=LimitScope.CATALOG),
    _throttled("5.2 [D] other business use case limits", codes=range(80000, 80015)),
    # Trouble at Meta's end.
    _transient("5.2 [D] unknown, [3] with subcode 99", codes=_one(1)),
    _transient("5.2 [O] unavailable", codes=_one(2)),
    _transient("5.2 [3] batch timed out", codes=_one(960), retry=RetryRule.SHRINK),
    _transient("5.2 [O] old cursor", codes=_one(2642), kind=CursorExpired, retry=RetryRule.RESTART),
    # Permissions.
    _permission("5.2 [O] app lacks capability", codes=_one(3), action="request_app_access"),
    _permission("5.2 [D] denied", codes=_one(10)),
    _permission("5.2 [O] Page token needed [?]", codes=_one(210), action="grant_page_access"),
    _permission("5.2 [O] development tier", codes=_one(270), action="request_app_access"),
    _permission("5.2 [D][O] permission missing", codes=range(200, 300)),
    _permission("5.2 [3] two-factor needed", codes=_one(415), action="enable_two_factor"),
    _permission(
        "5.2 [D] policy block", codes=_one(368), kind=Blocked, action="resolve_policy_block"
    ),
    _permission(
        "5.2 [3] payment account disabled",
        codes=_one(1690111),
        kind=Blocked,
        action="resolve_account_restriction",
    ),
    _permission(
        "5.2 [3] advertising restricted",
        codes=_one(1404163),
        kind=Blocked,
        action="resolve_account_restriction",
    ),
    # The rest of what we may have asked wrongly.
    # Meta's pages call 104 an incorrect signature, others saw it on a reset connection.
    _our_fault("5.2 [D] signature, [3] reset", codes=_one(104), retry=RetryRule.ONCE),
    _our_fault("5.2 [D] invalid user id", codes=_one(110)),
    _our_fault("5.2 [O] unknown path or no token", codes=_one(2500)),
    _settings("5.2 [3] deprecated version", codes=_one(2635)),
    _our_fault("5.2 [3] business already has access", codes=_one(3944)),
    _our_fault("5.2 [3] owned by another business", codes=_one(3918)),
    _our_fault("5.2 [3] last admin", codes=_one(3914)),
    _our_fault("5.2 [3] system user limit", codes=_one(3949)),
    _our_fault("5.2 [3] system user limit", codes=_one(3965)),
    _our_fault("5.2 [3] bad scope", codes=_one(3962)),
    _permission("5.2 [3] app not in the business", codes=_one(104001), action="approve_app"),
)


def find_row(
    code: int | None, subcode: int | None, message: str, rows: Iterable[Row] = ERROR_TABLE
) -> Row | None:
    """The first row that fits, or None for what we have never seen."""
    return next((row for row in rows if row.fits(code, subcode, message)), None)
