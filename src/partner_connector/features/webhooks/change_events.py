"""Webhook events about changes, inserted by one statement from the rows of the change feed."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    case,
    func,
    insert,
    literal,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import Change, SyncJob, WebhookEvent
from partner_connector.db.models.webhook_event import subscribed_types
from partner_connector.features.webhooks.event_types import EventType

_EVENT_OF_KIND = {
    "partner_listed": EventType.PARTNER_LISTED,
    "partner_unshared": EventType.PARTNER_UNSHARED,
    "user_joined": EventType.PARTNER_USER_JOINED,
    "user_rejoined": EventType.PARTNER_USER_REJOINED,
    "user_left": EventType.PARTNER_USER_LEFT,
    "user_role_changed": EventType.PARTNER_USER_ROLE_CHANGED,
}
_ACCESS_KINDS = ("access_granted", "access_changed", "access_revoked")
_MEMBERSHIP_KINDS = ("user_joined", "user_rejoined", "user_left")


async def write_change_events(
    session: AsyncSession, job: SyncJob, first: int, last: int, at: datetime
) -> None:
    """Write events for the changes of a job, from the sequence `first` to `last`.

    There is one event for each user and type. If a user joins or leaves, there is no separate event
    for the user's changed access. Without a subscribed endpoint, only one short query is run.
    """
    connection = await session.connection()
    wanted = await connection.run_sync(subscribed_types, job.workspace_id)
    kinds = {
        kind: str(event_type) for kind, event_type in _EVENT_OF_KIND.items() if event_type in wanted
    }
    conditions: list[ColumnElement[bool]] = [Change.kind.in_(kinds)] if kinds else []
    if EventType.PARTNER_USER_ACCESS_CHANGED in wanted:
        conditions.append(_is_first_access_change(job.workspace_id, first, last))
        kinds |= dict.fromkeys(_ACCESS_KINDS, str(EventType.PARTNER_USER_ACCESS_CHANGED))
    if conditions:
        changes = _changes(job.workspace_id, first, last).where(or_(*conditions))
        await _insert(session, job, changes, kinds, at)


async def _insert(
    session: AsyncSession,
    job: SyncJob,
    changes: Select[int],
    kinds: dict[str, str],
    at: datetime,
) -> None:
    event_type = case(kinds, value=Change.kind)
    values: dict[str, ColumnElement[Any]] = {
        "workspace_id": literal(job.workspace_id),
        "type": event_type.cast(String(32)),
        "occurred_at": literal(at, WebhookEvent.occurred_at.type),
        "subject_id": Change.partner_id.expression,
        "integration_id": literal(job.integration_id),
        "partner_id": Change.partner_id.expression,
        "partner_user_id": Change.partner_user_id.expression,
        "job_id": literal(job.id),
        "change_sequence": Change.sequence.expression,
    }
    rows = changes.with_only_columns(*values.values()).order_by(Change.sequence)
    await session.execute(insert(WebhookEvent).from_select(list(values), rows))


def _changes(workspace_id: uuid.UUID, first: int, last: int) -> Select[int]:
    return select(Change.sequence).where(
        Change.workspace_id == workspace_id, Change.sequence.between(first, last)
    )


def _is_first_access_change(workspace_id: uuid.UUID, first: int, last: int) -> ColumnElement[bool]:
    """Match the first change of access of each user, except users who join or leave."""
    first_access_change = func.min(case((Change.kind.in_(_ACCESS_KINDS), Change.sequence)))
    joins_or_leaves = func.count(case((Change.kind.in_(_MEMBERSHIP_KINDS), 1)))
    first_changes = (
        _changes(workspace_id, first, last)
        .with_only_columns(first_access_change)
        .group_by(Change.partner_user_id)
        .having(joins_or_leaves == 0)
    )
    # The subquery reads the changes once, for any number of users.
    return Change.sequence.in_(first_changes)
