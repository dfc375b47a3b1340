"""Rows as a worker or an operator writes them."""

import itertools
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import (
    ApiKey,
    Asset,
    AssetShare,
    AuditEvent,
    Base,
    Capability,
    Change,
    Grant,
    Integration,
    Partner,
    PartnerUser,
    PlannedChange,
    SyncJob,
    Token,
    TokenRequest,
    TokenValidation,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)
from partner_connector.features.sync_jobs.recording import record_first_event
from partner_connector.ids import encode, new_id

SEEN_AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


def api_key(workspace_id: uuid.UUID, **values: Any) -> ApiKey:
    """Return an API key whose secret is unknown."""
    given: dict[str, Any] = {
        "name": "ci",
        "key_id": uuid.uuid4().hex[:12],
        "digest": "0" * 64,
        "scopes": ["partners:read"],
        "id": new_id(),
    }
    return ApiKey(workspace_id=workspace_id, **(given | values))


def meta_id() -> str:
    """Return a unique id in the form of Meta's ids: digits only."""
    return str(new_id().int)[:20] + str(uuid.uuid4().int)[:10]


def integration(workspace_id: uuid.UUID, **values: Any) -> Integration:
    """Return an integration."""
    given: dict[str, Any] = {
        "name": "Acme",
        "meta_business_id": meta_id(),
        "app_id": "2965389650414399",
        "schedule": {"frequency": "daily", "paused": False},
        "graph_version": "v26.0",
        "id": new_id(),
    }
    return Integration(workspace_id=workspace_id, **(given | values))


def partner(of: Integration, **values: Any) -> Partner:
    """Return a partner of the integration."""
    given: dict[str, Any] = {
        "name": "Northwind",
        "meta_business_id": meta_id(),
        "relationship": "agency",
        "id": new_id(),
    }
    return Partner(workspace_id=of.workspace_id, integration_id=of.id, **(given | values))


def token(of: Partner, **values: Any) -> Token:
    """Return a partner's active token; its ciphertext cannot be decrypted.

    With `partner_id=None` the token belongs to the integration.
    """
    given: dict[str, Any] = {
        "version": 1,
        "state": "active",
        "sealed": b"ciphertext",
        "sealed_as": "at_rest",
        "key_id": "sk_0123456789abcdef",
        "health": "healthy",
        "scopes": ["business_management"],
        "partner_id": of.id,
        "id": new_id(),
    }
    return Token(workspace_id=of.workspace_id, integration_id=of.integration_id, **(given | values))


def validation(of: Token, **values: Any) -> TokenValidation:
    """Return a completed token validation."""
    given: dict[str, Any] = {
        "purpose": "connect",
        "status": "completed",
        "verdict": "connectable",
        "id": new_id(),
    }
    return TokenValidation(
        workspace_id=of.workspace_id,
        integration_id=of.integration_id,
        partner_id=of.partner_id,
        token_id=of.id,
        **(given | values),
    )


def token_request(of: Partner, **values: Any) -> TokenRequest:
    """Return an open token request with an unknown code."""
    given: dict[str, Any] = {
        "api_key_id": new_id(),
        "code_id": uuid.uuid4().hex[:12],
        "digest": "0" * 64,
        "expires_at": now() + timedelta(hours=1),
        "id": new_id(),
    }
    return TokenRequest(workspace_id=of.workspace_id, partner_id=of.id, **(given | values))


def sync_job(of: Partner, **values: Any) -> SyncJob:
    """Return a completed sync job."""
    given: dict[str, Any] = {
        "task": "sync_partner",
        "trigger": "api",
        "status": "completed",
        "partner_id": of.id,
        "id": new_id(),
    }
    return SyncJob(
        workspace_id=of.workspace_id, integration_id=of.integration_id, **(given | values)
    )


DIGEST = "0123456789abcdef" * 4


def plan(made_with: Token | None, **values: Any) -> dict[str, Any]:
    """Return the plan of a halted job as the worker stores it."""
    given: dict[str, Any] = {
        "digest": DIGEST,
        "users": 5,
        "removals": 2,
        "percent": 20,
        "counts": {"access_revoked": 2, "user_left": 2},
        "created_at": SEEN_AT.isoformat(),
        "token_id": None if made_with is None else str(made_with.id),
    }
    return given | values


def halted_job(of: Partner, made_with: Token | None = None, **values: Any) -> SyncJob:
    """Return a sync job that the safeguard halted, with an open plan."""
    given: dict[str, Any] = {
        "status": "halted",
        "phase": "applying",
        "plan": plan(made_with),
        "plan_expires_at": now() + timedelta(hours=1),
    }
    return sync_job(of, **(given | values))


def planned(of: SyncJob, **values: Any) -> PlannedChange:
    """Return a planned change of the job: a partner user leaves."""
    given: dict[str, Any] = {
        "kind": "user_left",
        "partner_id": of.partner_id,
        "partner_user_id": new_id(),
        "before": {"name": "Ada Example", "email": None},
    }
    return PlannedChange(job_id=of.id, **(given | values))


def change(at: Partner, **values: Any) -> Change:
    """Return a change: the partner was listed. `publish` sets its sequence."""
    given: dict[str, Any] = {
        "kind": "partner_listed",
        "occurred_at": SEEN_AT,
        "after": {"name": at.name},
        "job_id": new_id(),
    }
    return Change(workspace_id=at.workspace_id, partner_id=at.id, **(given | values))


def capability(of: Partner, **values: Any) -> Capability:
    """Return a narrowed capability of the partner's token."""
    given: dict[str, Any] = {
        "confirmed": {"scopes": ["ads_read"], "granular": {}, "role": "ADMIN", "assets": {}},
        "confirmed_at": SEEN_AT,
        "observed": {"scopes": [], "granular": {}, "role": "ADMIN", "assets": {}},
        "observed_at": SEEN_AT,
        "narrowed": ["ads_read is gone"],
    }
    return Capability(workspace_id=of.workspace_id, partner_id=of.id, **(given | values))


# Greater than every sequence that the API writes in a test.
_SEQUENCES = itertools.count(1000)


def audit_event(workspace_id: uuid.UUID, **values: Any) -> AuditEvent:
    """Return an audit event: a sync job was cancelled."""
    given: dict[str, Any] = {
        "occurred_at": SEEN_AT,
        "actor": "api_key",
        "api_key_id": new_id(),
        "request_id": "req_01k9z3v0e8fjt9m2c4r6w8xabc",
        "action": "sync_job.cancelled",
        "subject": encode("job", new_id()),
        "details": {},
        "id": new_id(),
        "sequence": next(_SEQUENCES),
        "hash": "0" * 64,
    }
    return AuditEvent(workspace_id=workspace_id, **(given | values))


def partner_user(of: Partner, **values: Any) -> PartnerUser:
    """Return a partner user."""
    given: dict[str, Any] = {
        "meta_user_id": meta_id(),
        "kind": "person",
        "name": "Ada Example",
        "email": "ada@example.com",
        "role_class": "unknown",
        "two_factor": "unknown",
        "first_seen_at": SEEN_AT,
        "last_seen_at": SEEN_AT,
        "id": new_id(),
    }
    return PartnerUser(
        workspace_id=of.workspace_id,
        integration_id=of.integration_id,
        partner_id=of.id,
        **(given | values),
    )


def asset(of: Integration, **values: Any) -> Asset:
    """Return an asset of the integration."""
    given: dict[str, Any] = {
        "type": "ad_account",
        "meta_id": meta_id(),
        "name": "Spring campaign",
        "id": new_id(),
    }
    return Asset(workspace_id=of.workspace_id, integration_id=of.id, **(given | values))


def share(of: Asset, with_: Partner) -> AssetShare:
    """Return a share of the asset with the partner."""
    return AssetShare(
        workspace_id=of.workspace_id,
        partner_id=with_.id,
        asset_id=of.id,
        direction="ours_shared_to_partner",
        permitted_tasks=["ADVERTISE"],
        first_seen_at=SEEN_AT,
    )


def grant(of: Asset, to: PartnerUser, **values: Any) -> Grant:
    """Return a grant of the asset to the partner user."""
    given: dict[str, Any] = {"tasks": ["ADVERTISE"], "full_control": False}
    return Grant(
        workspace_id=of.workspace_id,
        partner_id=to.partner_id,
        partner_user_id=to.id,
        asset_id=of.id,
        granted_at=SEEN_AT,
        **(given | values),
    )


def webhook_endpoint(workspace_id: uuid.UUID, **values: Any) -> WebhookEndpoint:
    """Return a webhook endpoint that subscribes to `partner.connected`."""
    given: dict[str, Any] = {
        "url": "https://hooks.example.com/partner-connector",
        "event_types": ["partner.connected"],
        "id": new_id(),
    }
    return WebhookEndpoint(workspace_id=workspace_id, **(given | values))


def webhook_event(of: Partner, **values: Any) -> WebhookEvent:
    """Return a `partner.connected` event with the next sequence."""
    given: dict[str, Any] = {
        "type": "partner.connected",
        "occurred_at": SEEN_AT,
        "subject_id": of.id,
        "integration_id": of.integration_id,
        "partner_id": of.id,
        "states": {"onboarding_status": "onboarded"},
        "sequence": next(_SEQUENCES),
        "message_id": new_id(),
        # An id that the database does not assign next.
        "id": uuid.uuid4().int % 10**15,
    }
    return WebhookEvent(workspace_id=of.workspace_id, **(given | values))


def webhook_delivery(of: WebhookEvent, to: WebhookEndpoint, **values: Any) -> WebhookDelivery:
    """Return a delivery of the event to the endpoint."""
    given: dict[str, Any] = {"id": new_id()}
    return WebhookDelivery(
        workspace_id=of.workspace_id,
        endpoint_id=to.id,
        event_id=of.id,
        subject_id=of.subject_id,
        sequence=of.sequence,
        **(given | values),
    )


async def publish(database: Database, *changes: Change) -> None:
    """Append the changes to the feed of their workspace."""
    async with database.writing() as session:
        for each in changes:
            query = select(func.max(Change.sequence)).where(
                Change.workspace_id == each.workspace_id
            )
            each.sequence = (await session.scalar(query) or 0) + 1
            session.add(each)
            await session.flush()


async def store(database: Database, *rows: Base) -> None:
    """Write the rows in the order in which they were given."""
    async with database.writing() as session:
        for row in rows:
            session.add(row)
            await session.flush()
            if isinstance(row, SyncJob):
                record_first_event(session, row)
