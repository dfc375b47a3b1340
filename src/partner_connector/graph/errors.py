"""Errors of the Graph API client, one class for each reaction of the caller."""

from enum import StrEnum


class ErrorClass(StrEnum):
    """Classes of failures, as the API shows them."""

    CONFIGURATION = "configuration"
    PERMISSION = "permission"
    RATE_LIMIT = "rate_limit"
    TRANSIENT = "transient"
    INTERNAL = "internal"


class RetryRule(StrEnum):
    """Rule for a retry, by the client or by the caller."""

    NEVER = "never"
    ONCE = "once"  # the client retries once, soon
    QUICK = "quick"  # the client retries a few times, soon
    SHRINK = "shrink"  # the client retries once, then the caller reads smaller pages
    RESTART = "restart"  # the caller reads the edge again from page one
    PARK = "park"  # the caller's job waits: Meta's waiting times are minutes


class LimitScope(StrEnum):
    """Subject of the rate limit that refused a call (`graph-facts.md#limit-scopes`)."""

    APP = "app"
    TOKEN = "token"  # noqa: S105 - not a secret
    AD_ACCOUNT = "ad_account"
    PAGE = "page"
    CATALOG = "catalog"


class GraphError(Exception):
    """A failed read. `message` and `str()` hold no token or URL; `resume_after` is in seconds."""

    # Defaults of this kind of error; a row of the error table may override them.
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
        # Every argument except the message has a default: the workflow engine pickles the outcome
        # of a step, and unpickling builds the error from `args`.
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
        """True if the same read may succeed later without any change."""
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
    """An invalid, expired or revoked token; no later call with it can succeed."""

    error_class = ErrorClass.CONFIGURATION
    user_action = "reconnect_token"


class PermissionMissing(GraphError):
    """A valid token that lacks a scope, a role or an app capability for this read."""

    error_class = ErrorClass.PERMISSION
    user_action = "grant_permission"


class Blocked(GraphError):
    """A restriction by Meta of the account, business or app, until a person resolves it."""

    error_class = ErrorClass.PERMISSION
    user_action = "resolve_account_restriction"


class Throttled(GraphError):
    """A used-up rate limit of `scope`: retry in `resume_after` seconds.

    Also raised without a call while a budget is blocked; then `http_status` is None.
    """

    error_class = ErrorClass.RATE_LIMIT
    user_action = "wait"
    retry = RetryRule.PARK


class Unreachable(GraphError):
    """A missing answer, or one that the Graph API did not write."""

    error_class = ErrorClass.TRANSIENT
    user_action = "retry"
    retry = RetryRule.QUICK


class Temporary(GraphError):
    """A temporary failure at Meta."""

    error_class = ErrorClass.TRANSIENT
    user_action = "retry"
    retry = RetryRule.QUICK


class NotFoundOrForbidden(GraphError):
    """An object that was deleted or that this token may not see: Meta does not say which."""

    error_class = ErrorClass.PERMISSION
    user_action = "check_asset_access"


class InvalidRequest(GraphError):
    """A read that Meta refuses as wrong; a retry cannot help."""


class CursorExpired(GraphError):
    """An expired paging cursor: the caller reads the edge again from page one."""

    error_class = ErrorClass.TRANSIENT
    user_action = "retry"
    retry = RetryRule.RESTART


class TooMuchData(GraphError):
    """An answer that is too large: the caller reads fewer rows per page."""

    error_class = ErrorClass.TRANSIENT
    user_action = "retry"
    retry = RetryRule.SHRINK


class UnknownGraphError(GraphError):
    """An error that the error table does not know; `code` and `subcode` are as received."""


# Errors of one edge or one object; other reads with the same token still work.
REFUSALS = (PermissionMissing, NotFoundOrForbidden, InvalidRequest)
