"""Webhook events about tokens and sync jobs, written in the transaction of the change."""

import uuid
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import SyncJob, Token
from partner_connector.db.models.token import WORKING
from partner_connector.db.models.webhook_event import write_to_outbox
from partner_connector.features.webhooks.event_types import EventType

_EVENT_OF_HEALTH = {
    "expiring": EventType.TOKEN_EXPIRING,
    "expired": EventType.TOKEN_EXPIRED,
    "invalid": EventType.TOKEN_INVALID,
    # Both need the same action: hand over another token.
    "unreadable": EventType.TOKEN_INVALID,
    "insufficient": EventType.TOKEN_SCOPE_DRIFT,
}


async def token_connected(session: AsyncSession, token: Token, before: Token | None) -> None:
    """Write the events of a token that became active. `before` is the token that it replaced."""
    events = []
    if before is not None:
        events.append(_token_event(EventType.TOKEN_REPLACED, token))
        events += _onboarding_events(token, before.health)
    elif token.partner_id is not None:
        events.append(_partner_event(EventType.PARTNER_CONNECTED, token))
    await _emit(session, events)


async def token_disconnected(session: AsyncSession, token: Token) -> None:
    """Write the event of a partner that was disconnected."""
    event = _partner_event(EventType.PARTNER_DISCONNECTED, token)
    event["states"] = {"onboarding_status": "pending_onboarding"}
    await _emit(session, [event])


async def token_health_changed(session: AsyncSession, token: Token, was: str) -> None:
    """Write the events of an active token after a change of its health or of its reasons.

    `was` is the health before the change.
    """
    events = []
    if token.health in _EVENT_OF_HEALTH:
        events.append(_token_event(_EVENT_OF_HEALTH[token.health], token))
    await _emit(session, events + _onboarding_events(token, was))


async def sync_job_changed(session: AsyncSession, job: SyncJob) -> None:
    """Write the event of a job that ended, or that halted until its plan is decided."""
    states = {
        "task": job.task,
        "trigger": job.trigger,
        "status": job.status,
        "partial": job.partial,
        "error_code": None if job.error is None else job.error["code"],
    }
    event = {
        "workspace_id": job.workspace_id,
        "type": f"sync_job.{job.status}",
        "occurred_at": now(),
        "integration_id": job.integration_id,
        "partner_id": job.partner_id,
        "job_id": job.id,
        "states": states,
    }
    await _emit(session, [event])


def _onboarding_events(token: Token, was: str) -> list[dict[str, Any]]:
    worked, works = was in WORKING, token.health in WORKING
    if token.partner_id is None or worked == works:
        return []
    kind = EventType.PARTNER_RECOVERED if works else EventType.PARTNER_NEEDS_ATTENTION
    return [_partner_event(kind, token)]


async def _emit(session: AsyncSession, events: list[dict[str, Any]]) -> None:
    connection = await session.connection()
    await connection.run_sync(write_to_outbox, events)


def _token_event(kind: EventType, token: Token) -> dict[str, Any]:
    reasons = [reason["code"] for reason in token.health_reasons or []]
    states = {"version": token.version, "health": token.health, "reasons": reasons}
    return _event(kind, token, token.id, states)


def _partner_event(kind: EventType, token: Token) -> dict[str, Any]:
    status = "onboarded" if token.health in WORKING else "needs_attention"
    return _event(kind, token, None, {"onboarding_status": status})


def _event(
    kind: EventType, token: Token, token_id: uuid.UUID | None, states: dict[str, Any]
) -> dict[str, Any]:
    return {
        "workspace_id": token.workspace_id,
        "type": str(kind),
        "occurred_at": now(),
        "integration_id": token.integration_id,
        "partner_id": token.partner_id,
        "token_id": token_id,
        "states": states,
    }
