"""The chain of a workspace's audit events: what makes a change behind our back show.

Each event's hash is keyed with a secret that the database does not have, and covers all of the
event and the hash of the one before. Whoever edits, removes, inserts or reorders rows breaks it
from there on. Whoever takes away the newest rows together with the head cannot be told from the
rows alone: for that an anchor, a sequence with its hash, is kept outside, as in the worker's log.
"""

import hashlib
import hmac
import json
import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import AuditEvent, AuditHead

PURPOSE = b"pc-audit-chain"
BEGINNING = "0" * 64
REASONS = ("missing", "altered", "not_chained", "head_altered", "anchor_differs")
_ROWS_AT_A_TIME = 500
_ANCHOR = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Anchor:
    """What the chain was known to be at a time: its last sequence and that one's hash."""

    sequence: int
    hash: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> "Anchor":
        """From `SEQUENCE:HASH`. Raises `ValueError`."""
        match = _ANCHOR.fullmatch(text)
        if match is None:
            raise ValueError("an anchor is a sequence and a hash of 64 hex digits, as in 7:0a1b…")
        return cls(int(match[1]), match[2])


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the chain does not hold.

    `missing`: the event with this sequence is not there. `altered`: it, its place or one that it
    rests on is not as it was written. `not_chained`: a row that the program did not write.
    `head_altered`: the rows end elsewhere than the head says. `anchor_differs`: all of it holds
    together, but it is not the chain that the anchor was taken of.
    """

    sequence: int
    reason: str
    event_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far the chain was followed, and where it broke."""

    events: int
    end: Anchor
    broken: Break | None = None


def link(key: bytes, event: AuditEvent, before: str) -> str:
    """The hash of an event that follows the one with the hash `before`."""
    told = {
        "id": event.id.hex,
        "workspace_id": event.workspace_id.hex,
        "sequence": event.sequence,
        "occurred_at": event.occurred_at.isoformat(timespec="microseconds"),
        "actor": event.actor,
        "api_key_id": event.api_key_id.hex if event.api_key_id else None,
        "request_id": event.request_id,
        "action": event.action,
        "subject": event.subject,
        "details": event.details,
    }
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, f"{before}|{text}".encode(), hashlib.sha256).hexdigest()


async def verify(
    session: AsyncSession, key: bytes, workspace_id: uuid.UUID, anchor: Anchor | None = None
) -> Verdict:
    """Follow the chain from its first event to its head."""
    head = await session.get(AuditHead, workspace_id)
    end, events = Anchor(0, BEGINNING), 0
    rows = await session.stream_scalars(
        select(AuditEvent)
        .where(AuditEvent.workspace_id == workspace_id)
        # Events that come meanwhile are beyond the head that was read.
        .where(AuditEvent.sequence <= (head.sequence if head else 0))
        .order_by(AuditEvent.sequence)
        .execution_options(yield_per=_ROWS_AT_A_TIME)
    )
    try:
        async for event in rows:
            broken = _break_at(key, event, end, anchor)
            if broken is not None:
                return Verdict(events, end, broken)
            end, events = Anchor(end.sequence + 1, event.hash), events + 1
            session.expunge(event)
    finally:
        await rows.close()
    return Verdict(events, end, await _break_at_the_end(session, workspace_id, head, end, anchor))


def _break_at(key: bytes, event: AuditEvent, end: Anchor, anchor: Anchor | None) -> Break | None:
    expected = end.sequence + 1
    if event.sequence != expected:
        return Break(expected, "missing")
    if not hmac.compare_digest(event.hash, link(key, event, end.hash)):
        return Break(expected, "altered", event.id)
    if anchor is not None and anchor.sequence == expected and anchor.hash != event.hash:
        return Break(expected, "anchor_differs", event.id)
    return None


async def _break_at_the_end(
    session: AsyncSession,
    workspace_id: uuid.UUID,
    head: AuditHead | None,
    end: Anchor,
    anchor: Anchor | None,
) -> Break | None:
    told = Anchor(head.sequence, head.hash) if head is not None else Anchor(0, BEGINNING)
    if end.sequence < told.sequence:
        return Break(end.sequence + 1, "missing")
    if end != told:
        return Break(end.sequence, "head_altered")
    if anchor is not None and end.sequence < anchor.sequence:
        return Break(end.sequence + 1, "missing")
    # Compared with the head of this very moment: events come while the rows are followed.
    latest = (
        select(AuditHead.sequence).where(AuditHead.workspace_id == workspace_id).scalar_subquery()
    )
    beyond = exists().where(
        AuditEvent.workspace_id == workspace_id,
        AuditEvent.sequence > func.coalesce(latest, told.sequence),
    )
    return Break(end.sequence + 1, "not_chained") if await session.scalar(select(beyond)) else None


async def ends_that_moved(
    session: AsyncSession, since: datetime
) -> AsyncIterator[tuple[uuid.UUID, Anchor]]:
    """Where the chain of each workspace ends that has grown since then."""
    rows = await session.stream(
        select(AuditHead.workspace_id, AuditHead.sequence, AuditHead.hash)
        .where(AuditHead.moved_at >= since)
        .order_by(AuditHead.workspace_id)
    )
    async for workspace_id, sequence, digest in rows:
        yield workspace_id, Anchor(sequence, digest)
