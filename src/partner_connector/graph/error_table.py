"""Table of Meta's error codes: their meaning, the user's action and the retry rule.

The first row that matches is used, so narrow rows come before wide ones. Each description ends with
the source of the row: documented by Meta, observed in real traffic, a third party's code, or
inferred. See `docs/reference/graph-facts.md#error-codes`.
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
    """A row of the error table; a column with None matches every value."""

    kind: type[GraphError]
    error_class: ErrorClass
    user_action: str
    retry: RetryRule
    description: str
    codes: range | None = None
    subcode: int | None = None
    text: str | None = None  # part of Meta's message, in lower case; case is ignored
    final: bool = False  # permanent even with `is_transient: true` or HTTP 500
    scope: LimitScope | None = None  # of a rate limit

    def fits(self, code: int | None, subcode: int | None, message: str) -> bool:
        return (
            (self.codes is None or code in self.codes)
            and (self.subcode is None or self.subcode == subcode)
            and (self.text is None or self.text in message.casefold())
        )


def _row(
    kind: type[GraphError],
    description: str,
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
    """Return a row with the defaults of its kind of error where no other value is given."""
    return Row(
        kind=kind,
        error_class=error_class or kind.error_class,
        user_action=user_action or kind.user_action,
        retry=retry or kind.retry,
        description=description,
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
_invalid_request = partial(_row, InvalidRequest)
_configuration = partial(
    _row,
    InvalidRequest,
    error_class=ErrorClass.CONFIGURATION,
    user_action="review_configuration",
)


ERROR_TABLE: tuple[Row, ...] = (
    # Errors that only their message distinguishes.
    _row(
        TooMuchData,
        "code 1, reduce the amount of data (observed)",
        code=1,
        text="reduce the amount of data",
    ),
    # Permanent, although Meta sends it with HTTP 500.
    _invalid_request("ids parameter (observed)", code=100, text="ids query parameter", final=True),
    _configuration(
        "wrong or missing appsecret_proof (third party)", code=100, text="appsecret_proof"
    ),
    _configuration("debug_token (observed)", code=100, text="must provide an app access token"),
    _invalid_request(
        "cursor too deep (documented)", code=100, text="after cursor specified exceeds"
    ),
    _invalid_request("over 50 operations (third party)", text="too many requests in batch message"),
    # Subcodes with one meaning under every code.
    _invalid_request("not business-scoped (observed)", subcode=1752100),
    # 190: the token.
    _permission("no role on the Page (documented)", code=190, subcode=492),
    _dead("app removed (documented)", code=190, subcode=458),
    _checkpoint("checkpoint (documented)", code=190, subcode=459),
    _dead("password changed (observed)", code=190, subcode=460),
    _dead("expired (observed)", code=190, subcode=463),
    _checkpoint("unconfirmed user (documented)", code=190, subcode=464),
    _dead("invalid (documented)", code=190, subcode=467),
    _dead("inactive for 90 days (observed)", code=190, subcode=493),
    _dead("any other 190 (documented)", code=190),
    _dead("legacy session (documented)", code=102),
    # 100: the request, or an object that this token cannot see.
    _hidden("unsupported get request (observed)", code=100, subcode=33),
    _hidden("inaccessible object (third party)", code=100, subcode=13),
    _row(
        TooMuchData,
        "too much data (insights) (third party)",
        code=100,
        subcode=1487534,
        error_class=ErrorClass.INTERNAL,
        user_action="contact_support",
    ),
    _invalid_request("targeting category gone (documented)", code=100, subcode=1487694),
    _invalid_request("task combination (documented)", code=100, subcode=1752129),
    _invalid_request("invalid parameter (observed)", code=100),
    _hidden("unknown alias (observed)", code=803),
    # Rate limits. They are raised at once: waiting takes minutes, too long for a request loop.
    # The scope follows from `#limit-scopes` and from Meta's messages. Where both are silent, the
    # token's budget is blocked, so that other tokens are not affected.
    _throttled("app limit (observed)", code=4, scope=LimitScope.APP),
    _throttled(
        "legacy ads token limit (observed), per ad account (inferred)",
        code=17,
        subcode=2446079,
        scope=LimitScope.AD_ACCOUNT,
    ),
    _throttled("user limit (documented)", code=17),
    _throttled("Page limit (documented)", code=32, scope=LimitScope.PAGE),
    _throttled("application limit (documented)", code=341, scope=LimitScope.APP),
    _throttled("unusual volume (third party)", code=613, subcode=1996),
    _throttled(
        "ad account limit (third party)", code=613, subcode=1487742, scope=LimitScope.AD_ACCOUNT
    ),
    _throttled("100 writes a second (third party)", code=613, subcode=5044001),
    _throttled("custom limit (documented)", code=613),
    _throttled("ads insights (observed, documented)", code=80000, scope=LimitScope.AD_ACCOUNT),
    _throttled("Page calls (documented)", code=80001, scope=LimitScope.PAGE),
    _throttled(
        "custom audience (documented), ads management (observed)",
        code=range(80003, 80005),
        scope=LimitScope.AD_ACCOUNT,
    ),
    _throttled("catalog management (documented)", code=80009, scope=LimitScope.CATALOG),
    _throttled("catalog batch (documented)", code=80014, scope=LimitScope.CATALOG),
    _throttled("other business use case limits (documented)", code=range(80000, 80015)),
    # Failures at Meta.
    _transient("unknown (documented), subcode 99 (third party)", code=1),
    _transient("unavailable (observed)", code=2),
    _transient("batch timed out (third party)", code=960, retry=RetryRule.SHRINK),
    _row(CursorExpired, "old cursor (observed)", code=2642),
    # Permissions.
    _permission("app lacks capability (observed)", code=3, user_action="request_app_access"),
    _permission("denied (documented)", code=10),
    _permission(
        "Page token needed (observed, inferred)", code=210, user_action="grant_page_access"
    ),
    _permission("development tier (observed)", code=270, user_action="request_app_access"),
    _permission("permission missing (documented, observed)", code=range(200, 300)),
    _permission("two-factor needed (third party)", code=415, user_action="enable_two_factor"),
    _blocked("policy block (documented)", code=368, user_action="resolve_policy_block"),
    _blocked("payment account disabled (third party)", code=1690111),
    _blocked("advertising restricted (third party)", code=1404163),
    # Other invalid requests. Meta documents 104 as an incorrect signature; others got it after a
    # reset connection.
    _invalid_request(
        "signature (documented), connection reset (third party)", code=104, retry=RetryRule.ONCE
    ),
    _invalid_request("invalid user id (documented)", code=110),
    _invalid_request("unknown path or no token (observed)", code=2500),
    _configuration("deprecated version (third party)", code=2635),
    _invalid_request("business already has access (third party)", code=3944),
    _invalid_request("owned by another business (third party)", code=3918),
    _invalid_request("last admin (third party)", code=3914),
    _invalid_request("system user limit (third party)", code=3949),
    _invalid_request("system user limit (third party)", code=3965),
    _invalid_request("bad scope (third party)", code=3962),
    _permission("app not in the business (third party)", code=104001, user_action="approve_app"),
)


def find_row(
    code: int | None, subcode: int | None, message: str, rows: Iterable[Row] = ERROR_TABLE
) -> Row | None:
    """Return the first row that matches, or None for an unknown error."""
    return next((row for row in rows if row.fits(code, subcode, message)), None)
