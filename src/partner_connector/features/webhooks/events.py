"""Putting out events, in the transaction of what they tell."""

import uuid
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import SyncJob, Token
from partner_connector.db.models.token import WORKING
from partner_connector.db.models.webhook_event import put_out
from partner_connector.features.webhooks.event_types import EventType

_TOLD_OF_HEALTH = {
    "expiring": EventType.TOKEN_EXPIRING,
    "expired": EventType.TOKEN_EXPIRED,
    "invalid": EventType.TOKEN_INVALID,
    # For whoever is to act it is the same: hand over another one.
    "unreadable": EventType.TOKEN_INVALID,
    "insufficient": EventType.TOKEN_SCOPE_DRIFT,
}


async def token_connected(session: AsyncSession, token: Token, before: Token | None) -> None:
    """A token became active, in the place of the one before it if there was one."""
    told = []
    if before is not None:
        told.append(_of_token(EventType.TOKEN_REPLACED, token))
        told += _standing_changed(token, before.health)
    elif token.partner_id is not None:
        told.append(_of_partner(EventType.PARTNER_CONNECTED, token))
    await _emit(session, told)


async def token_disconnected(session: AsyncSession, token: Token) -> None:
    """A partner's active token was given up."""
    told = _of_partner(EventType.PARTNER_DISCONNECTED, token)
    told["states"] = {"onboarding_status": "pending_onboarding"}
    await _emit(session, [told])


async def token_health_changed(session: AsyncSession, token: Token, was: str) -> None:
    """An active token does better or worse, or for other reasons."""
    told = []
    if token.health in _TOLD_OF_HEALTH:
        told.append(_of_token(_TOLD_OF_HEALTH[token.health], token))
    await _emit(session, told + _standing_changed(token, was))


async def sync_job_changed(session: AsyncSession, job: SyncJob) -> None:
    """Put out that a job came to its end, or to a halt for a decision."""
    states = {
        "task": job.task,
        "trigger": job.trigger,
        "status": job.status,
        "partial": job.partial,
        "error_code": None if job.error is None else job.error["code"],
    }
    told = {
        "workspace_id": job.workspace_id,
        "type": f"sync_job.{job.status}",
        "occurred_at": now(),
        "integration_id": job.integration_id,
        "partner_id": job.partner_id,
        "job_id": job.id,
        "states": states,
    }
    await _emit(session, [told])


def _standing_changed(token: Token, was: str) -> list[dict[str, Any]]:
    worked, works = was in WORKING, token.health in WORKING
    if token.partner_id is None or worked == works:
        return []
    kind = EventType.PARTNER_RECOVERED if works else EventType.PARTNER_NEEDS_ATTENTION
    return [_of_partner(kind, token)]


async def _emit(session: AsyncSession, told: list[dict[str, Any]]) -> None:
    connection = await session.connection()
    await connection.run_sync(put_out, told)


def _of_token(kind: EventType, token: Token) -> dict[str, Any]:
    reasons = [one["code"] for one in token.health_reasons or []]
    states = {"version": token.version, "health": token.health, "reasons": reasons}
    return _of(kind, token, token.id, states)


def _of_partner(kind: EventType, token: Token) -> dict[str, Any]:
    status = "onboarded" if token.health in WORKING else "needs_attention"
    return _of(kind, token, None, {"onboarding_status": status})


def _of(
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
