"""Types of events that an endpoint can subscribe to."""

from enum import StrEnum


class EventType(StrEnum):
    """Types of events. The values are the `type` of the messages."""

    PARTNER_LISTED = "partner.listed"
    PARTNER_UNSHARED = "partner.unshared"
    PARTNER_CONNECTED = "partner.connected"
    PARTNER_DISCONNECTED = "partner.disconnected"
    PARTNER_NEEDS_ATTENTION = "partner.needs_attention"
    PARTNER_RECOVERED = "partner.recovered"
    TOKEN_EXPIRING = "token.expiring"  # noqa: S105 - the name of an event
    TOKEN_EXPIRED = "token.expired"  # noqa: S105
    TOKEN_INVALID = "token.invalid"  # noqa: S105
    TOKEN_SCOPE_DRIFT = "token.scope_drift"  # noqa: S105
    TOKEN_REPLACED = "token.replaced"  # noqa: S105
    SYNC_JOB_COMPLETED = "sync_job.completed"
    SYNC_JOB_FAILED = "sync_job.failed"
    SYNC_JOB_HALTED = "sync_job.halted"
    SYNC_JOB_CANCELLED = "sync_job.cancelled"
    PARTNER_USER_JOINED = "partner_user.joined"
    PARTNER_USER_REJOINED = "partner_user.rejoined"
    PARTNER_USER_LEFT = "partner_user.left"
    PARTNER_USER_ROLE_CHANGED = "partner_user.role_changed"
    PARTNER_USER_ACCESS_CHANGED = "partner_user.access_changed"


# Sent to one endpoint by the test operation. No endpoint can subscribe to it.
TEST = "webhook_endpoint.test"
