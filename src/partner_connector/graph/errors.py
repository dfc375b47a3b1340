"""What can go wrong between us and Meta, named for what the caller should know."""

from enum import StrEnum


class ErrorClass(StrEnum):
    """The five words by which people and programs sort a failure."""

    CONFIGURATION = "configuration"
    PERMISSION = "permission"
    RATE_LIMIT = "rate_limit"
    TRANSIENT = "transient"
    INTERNAL = "internal"


class RetryRule(StrEnum):
    """What may be tried again, and by whom."""

    NEVER = "never"
    ONCE = "once"  # one quick repeat, here
    QUICK = "quick"  # a few quick repeats, here
    SHRINK = "shrink"  # one quick repeat here, then the caller asks for less
    RESTART = "restart"  # the caller reads the edge again from page one
    PARK = "park"  # never here: waiting is minutes, and that is for a job queue


class LimitScope(StrEnum):
    """On what the limit is set that refused a call (6.2)."""

    APP = "app"
    TOKEN = "token"  # noqa: S105 - a word
    AD_ACCOUNT = "ad_account"
    PAGE = "page"
    CATALOG = "catalog"


class GraphError(Exception):
    """Anything that kept us from reading; `message` and `str()` never hold a token or a URL."""

    # What an error of this kind usually means; one row of the table may know better.
    error_class = ErrorClass.INTERNAL
    user_action = "contact_support"
    retry = RetryRule.NEVER

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        subcode: int | None = None,
        fbtrace_id: str | None = None,
        http_status: int | None = None,
        error_class: ErrorClass | None = None,
        user_action: str | None = None,
        retry: RetryRule | None = None,
        resume_after: float | None = None,
        scope: LimitScope | None = None,
    ) -> None:
        # Every argument but the text has a default, so that an error survives pickling:
        # a workflow engine that stores the outcome of a step rebuilds it from `args`.
        super().__init__(message)
        self.message = message
        self.code = code
        self.subcode = subcode
        self.fbtrace_id = fbtrace_id
        self.http_status = http_status
        self.error_class = error_class or self.error_class
        self.user_action = user_action or self.user_action
        self.retry = retry or self.retry
        self.resume_after = resume_after
        self.scope = scope

    @property
    def transient(self) -> bool:
        """True when the same read may succeed later with nobody changing anything."""
        return self.error_class in {ErrorClass.TRANSIENT, ErrorClass.RATE_LIMIT}

    def __str__(self) -> str:
        facts = []
        if self.code is not None:
            facts.append(f"code {self.code}" + (f"/{self.subcode}" if self.subcode else ""))
        if self.http_status is not None:
            facts.append(f"HTTP {self.http_status}")
        if self.fbtrace_id is not None:
            facts.append(f"trace {self.fbtrace_id}")
        return f"{self.message} [{', '.join(facts)}]" if facts else self.message


class TokenDead(GraphError):
    """The token is invalid, expired or revoked; no call with it will ever work again."""

    error_class = ErrorClass.CONFIGURATION
    user_action = "reconnect_token"


class PermissionMissing(GraphError):
    """The token lives but lacks a scope, a role or an app capability for this read."""

    error_class = ErrorClass.PERMISSION
    user_action = "grant_permission"


class Blocked(GraphError):
    """Meta restricts the account, the business or the app until a person resolves it."""

    error_class = ErrorClass.PERMISSION
    user_action = "resolve_account_restriction"


class Throttled(GraphError):
    """A limit is used up, that of `scope`: go on in `resume_after` seconds.

    Raised without asking Meta while a limit is known to be used up; `http_status` is None then.
    """

    error_class = ErrorClass.RATE_LIMIT
    user_action = "wait"
    retry = RetryRule.PARK


class Unreachable(GraphError):
    """No answer came, or what came was not written by the API."""

    error_class = ErrorClass.TRANSIENT
    user_action = "retry"
    retry = RetryRule.QUICK


class Temporary(GraphError):
    """Meta could not answer this time and expects to, soon."""

    error_class = ErrorClass.TRANSIENT
    user_action = "retry"
    retry = RetryRule.QUICK


class NotFoundOrForbidden(GraphError):
    """The object is gone or hidden from this token, Meta does not say which: not "deleted"."""

    error_class = ErrorClass.PERMISSION
    user_action = "check_asset_access"


class InvalidRequest(GraphError):
    """The question itself is wrong; repeating it cannot help."""


class CursorExpired(GraphError):
    """The paging cursor no longer points anywhere: the edge is read again from page one."""

    error_class = ErrorClass.TRANSIENT
    user_action = "retry"
    retry = RetryRule.RESTART


class TooMuchData(GraphError):
    """The answer would be too big: ask for fewer rows."""

    error_class = ErrorClass.TRANSIENT
    user_action = "retry"
    retry = RetryRule.SHRINK


class UnknownGraphError(GraphError):
    """An answer that our table does not know; `code` and `subcode` are as received."""


# What concerns one edge or one object and leaves the rest readable.
REFUSALS = (PermissionMissing, NotFoundOrForbidden, InvalidRequest)
