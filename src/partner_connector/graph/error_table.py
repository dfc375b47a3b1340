"""Meta's error codes, one row each: what they mean, who must act, and whether to repeat.

The first row that fits wins, so the narrow rows stand before the wide ones. `source` names the
section of our reference notes and its mark: [D] Meta's documentation, [K] its SDK, [O] observed
in real traffic, [3] a third party's code, [?] inferred.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

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


def _row(
    kind: type[GraphError],
    source: str,
    *,
    code: int | range | None = None,
    subcode: int | None = None,
    text: str | None = None,
    error_class: ErrorClass | None = None,
    user_action: str | None = None,
    retry: RetryRule | None = None,
    final: bool = False,
    scope: LimitScope | None = None,
) -> Row:
    """Return a row that means what its kind of error usually does, but for what is given here."""
    return Row(
        kind=kind,
        error_class=error_class or kind.error_class,
        user_action=user_action or kind.user_action,
        retry=retry or kind.retry,
        source=source,
        codes=range(code, code + 1) if isinstance(code, int) else code,
        subcode=subcode,
        text=text,
        final=final,
        scope=scope,
    )


_dead = partial(_row, TokenDead, final=True)
_checkpoint = partial(_dead, user_action="resolve_account_checkpoint")
_permission = partial(_row, PermissionMissing)
_hidden = partial(_row, NotFoundOrForbidden)
_blocked = partial(_row, Blocked)
_throttled = partial(_row, Throttled, scope=LimitScope.TOKEN)
_transient = partial(_row, Temporary)
_our_fault = partial(_row, InvalidRequest)
_settings = partial(
    _row,
    InvalidRequest,
    error_class=ErrorClass.CONFIGURATION,
    user_action="review_configuration",
)


ERROR_TABLE: tuple[Row, ...] = (
    # Answers told apart by their text only.
    _row(
        TooMuchData,
        "5.2 [O] code 1, reduce the amount of data",
        code=1,
        text="reduce the amount of data",
    ),
    # HTTP 500 makes this one look like trouble at Meta's end; it will never pass.
    _our_fault("5.2, 8.3 [O] ids=", code=100, text="ids query parameter", final=True),
    _settings("5.2 [3] wrong or missing proof", code=100, text="appsecret_proof"),
    _settings("4.1 [O] debug_token", code=100, text="must provide an app access token"),
    _our_fault("5.2 [D] cursor too deep", code=100, text="after cursor specified exceeds"),
    _our_fault("8.1 [3] over 50 operations", text="too many requests in batch message"),
    # Subcodes that mean the same under any code.
    _our_fault("5.2 [O] not business-scoped", subcode=1752100),
    # 190: the token.
    _permission("5.2 [D] no role on the Page", code=190, subcode=492),
    _dead("5.2 [D] app removed", code=190, subcode=458),
    _checkpoint("5.2 [D] checkpoint", code=190, subcode=459),
    _dead("5.2 [O] password changed", code=190, subcode=460),
    _dead("5.2 [O] expired", code=190, subcode=463),
    _checkpoint("5.2 [D] unconfirmed user", code=190, subcode=464),
    _dead("5.2 [D] invalid", code=190, subcode=467),
    _dead("5.2 [O] inactive for 90 days", code=190, subcode=493),
    _dead("5.2 [D] any other 190", code=190),
    _dead("5.2 [D] legacy session", code=102),
    # 100: the request, or an object this token cannot see.
    _hidden("5.2 [O] unsupported get request", code=100, subcode=33),
    _hidden("5.2 [3] inaccessible object", code=100, subcode=13),
    _row(
        TooMuchData,
        "5.2 [3] too much data (insights)",
        code=100,
        subcode=1487534,
        error_class=ErrorClass.INTERNAL,
        user_action="contact_support",
    ),
    _our_fault("5.2 [D] targeting category gone", code=100, subcode=1487694),
    _our_fault("5.2 [D] task combination", code=100, subcode=1752129),
    _our_fault("5.2 [O] invalid parameter", code=100),
    _hidden("5.2 [O] unknown alias", code=803),
    # Limits. Each is raised at once: the wait is minutes, which is no work for a request loop.
    # What a limit is set on follows from 6.2 [D] and the messages [O]; where neither tells, it is
    # taken for the token's, so that the others go on [?].
    _throttled("5.2 [O] app limit", code=4, scope=LimitScope.APP),
    _throttled(
        "5.2 [O] legacy ads token limit; per ad account 6.2 [?]",
        code=17,
        subcode=2446079,
        scope=LimitScope.AD_ACCOUNT,
    ),
    _throttled("5.2 [D] user limit", code=17),
    _throttled("5.2 [D] Page limit", code=32, scope=LimitScope.PAGE),
    _throttled("5.2 [D] application limit", code=341, scope=LimitScope.APP),
    _throttled("5.2 [3] unusual volume", code=613, subcode=1996),
    _throttled("5.2 [3] ad account limit", code=613, subcode=1487742, scope=LimitScope.AD_ACCOUNT),
    _throttled("5.2 [3] 100 writes a second", code=613, subcode=5044001),
    _throttled("5.2 [D] custom limit", code=613),
    _throttled("5.2 [O] ads insights, 6.2 [D]", code=80000, scope=LimitScope.AD_ACCOUNT),
    _throttled("5.2 [D] Page calls", code=80001, scope=LimitScope.PAGE),
    _throttled(
        "5.2 [D] custom audience, [O] ads management: per ad account",
        code=range(80003, 80005),
        scope=LimitScope.AD_ACCOUNT,
    ),
    _throttled("5.2 [D] catalog management", code=80009, scope=LimitScope.CATALOG),
    _throttled("5.2 [D] catalog batch", code=80014, scope=LimitScope.CATALOG),
    _throttled("5.2 [D] other business use case limits", code=range(80000, 80015)),
    # Trouble at Meta's end.
    _transient("5.2 [D] unknown, [3] with subcode 99", code=1),
    _transient("5.2 [O] unavailable", code=2),
    _transient("5.2 [3] batch timed out", code=960, retry=RetryRule.SHRINK),
    _row(CursorExpired, "5.2 [O] old cursor", code=2642),
    # Permissions.
    _permission("5.2 [O] app lacks capability", code=3, user_action="request_app_access"),
    _permission("5.2 [D] denied", code=10),
    _permission("5.2 [O] Page token needed [?]", code=210, user_action="grant_page_access"),
    _permission("5.2 [O] development tier", code=270, user_action="request_app_access"),
    _permission("5.2 [D][O] permission missing", code=range(200, 300)),
    _permission("5.2 [3] two-factor needed", code=415, user_action="enable_two_factor"),
    _blocked("5.2 [D] policy block", code=368, user_action="resolve_policy_block"),
    _blocked("5.2 [3] payment account disabled", code=1690111),
    _blocked("5.2 [3] advertising restricted", code=1404163),
    # The rest of what we may have asked wrongly.
    # Meta's pages call 104 an incorrect signature, others saw it on a reset connection.
    _our_fault("5.2 [D] signature, [3] reset", code=104, retry=RetryRule.ONCE),
    _our_fault("5.2 [D] invalid user id", code=110),
    _our_fault("5.2 [O] unknown path or no token", code=2500),
    _settings("5.2 [3] deprecated version", code=2635),
    _our_fault("5.2 [3] business already has access", code=3944),
    _our_fault("5.2 [3] owned by another business", code=3918),
    _our_fault("5.2 [3] last admin", code=3914),
    _our_fault("5.2 [3] system user limit", code=3949),
    _our_fault("5.2 [3] system user limit", code=3965),
    _our_fault("5.2 [3] bad scope", code=3962),
    _permission("5.2 [3] app not in the business", code=104001, user_action="approve_app"),
)


def find_row(
    code: int | None, subcode: int | None, message: str, rows: Iterable[Row] = ERROR_TABLE
) -> Row | None:
    """The first row that fits, or None for what we have never seen."""
    return next((row for row in rows if row.fits(code, subcode, message)), None)
