"""What the change feed tells, as events: made by the database from the rows that were published."""

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
from partner_connector.db.models.webhook_event import wanted_types
from partner_connector.features.webhooks.event_types import EventType

_AS_THEY_ARE = {
    "partner_listed": EventType.PARTNER_LISTED,
    "partner_unshared": EventType.PARTNER_UNSHARED,
    "user_joined": EventType.PARTNER_USER_JOINED,
    "user_rejoined": EventType.PARTNER_USER_REJOINED,
    "user_left": EventType.PARTNER_USER_LEFT,
    "user_role_changed": EventType.PARTNER_USER_ROLE_CHANGED,
}
_OF_ACCESS = ("access_granted", "access_changed", "access_revoked")
_COMING_AND_GOING = ("user_joined", "user_rejoined", "user_left")


async def published(
    session: AsyncSession, job: SyncJob, first: int, last: int, at: datetime
) -> None:
    """Put out events of the changes that this job published, from one sequence to another.

    One event per person and type. Whose access changed because they joined or left is told once,
    by that. Where nobody wants such events, one short query has been made.
    """
    connection = await session.connection()
    wanted = await connection.run_sync(wanted_types, job.workspace_id)
    kinds = {kind: str(each) for kind, each in _AS_THEY_ARE.items() if each in wanted}
    told: list[ColumnElement[bool]] = [Change.kind.in_(kinds)] if kinds else []
    if EventType.PARTNER_USER_ACCESS_CHANGED in wanted:
        told.append(_is_first_of_its_person(job.workspace_id, first, last))
        kinds |= dict.fromkeys(_OF_ACCESS, str(EventType.PARTNER_USER_ACCESS_CHANGED))
    if told:
        changes = _changes(job.workspace_id, first, last).where(or_(*told))
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


def _is_first_of_its_person(workspace_id: uuid.UUID, first: int, last: int) -> ColumnElement[bool]:
    """The first change of someone's access who neither joins nor leaves by these changes."""
    of_access = func.min(case((Change.kind.in_(_OF_ACCESS), Change.sequence)))
    comes_or_goes = func.count(case((Change.kind.in_(_COMING_AND_GOING), 1)))
    firsts = (
        _changes(workspace_id, first, last)
        .with_only_columns(of_access)
        .group_by(Change.partner_user_id)
        .having(comes_or_goes == 0)
    )
    # In one pass over the changes, however many people there are.
    return Change.sequence.in_(firsts)
