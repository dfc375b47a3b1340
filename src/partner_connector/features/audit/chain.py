"""The audit chain of a workspace, which reveals changes made directly in the database.

Each event has a hash over all of the event and the hash of the event before it. The hash is keyed
with a secret that is not in the database. An attacker who edits, removes, inserts or reorders rows
breaks the chain from that row on. The rows alone cannot reveal that the newest rows were removed
together with the head. An anchor does: a sequence and its hash, kept outside, as in the worker's
log.
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
INITIAL_HASH = "0" * 64
REASONS = ("missing", "altered", "not_chained", "head_altered", "anchor_differs")
_ROWS_AT_A_TIME = 500
_ANCHOR = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Anchor:
    """End of the chain at some time: the last sequence and the hash of that event."""

    sequence: int
    hash: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> "Anchor":
        """Parse `SEQUENCE:HASH`. Raises `ValueError`."""
        match = _ANCHOR.fullmatch(text)
        if match is None:
            raise ValueError("an anchor is a sequence and a hash of 64 hex digits, as in 7:0a1b…")
        return cls(int(match[1]), match[2])


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the chain does not hold.

    `missing`: the event with this sequence does not exist. `altered`: the event, its position or
    the hash of the event before it was changed. `not_chained`: a row that the program did not
    write. `head_altered`: the last row is not the one that the head names. `anchor_differs`: the
    chain holds, but it is not the chain of the anchor.
    """

    sequence: int
    reason: str
    event_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of a verification: the number of events, the last of them, and the break if any."""

    events: int
    end: Anchor
    broken: Break | None = None


def event_hash(key: bytes, event: AuditEvent, before: str) -> str:
    """Return the hash of an event. `before` is the hash of the event before it."""
    content = {
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
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.new(key, f"{before}|{text}".encode(), hashlib.sha256).hexdigest()


async def verify(
    session: AsyncSession, key: bytes, workspace_id: uuid.UUID, anchor: Anchor | None = None
) -> Verdict:
    """Verify the chain from its first event to its head, and return the first break."""
    head = await session.get(AuditHead, workspace_id)
    end, events = Anchor(0, INITIAL_HASH), 0
    rows = await session.stream_scalars(
        select(AuditEvent)
        .where(AuditEvent.workspace_id == workspace_id)
        # Events that are added during the verification have a sequence beyond this head.
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
    if not hmac.compare_digest(event.hash, event_hash(key, event, end.hash)):
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
    expected = Anchor(head.sequence, head.hash) if head is not None else Anchor(0, INITIAL_HASH)
    if end.sequence < expected.sequence:
        return Break(end.sequence + 1, "missing")
    if end != expected:
        return Break(end.sequence, "head_altered")
    if anchor is not None and end.sequence < anchor.sequence:
        return Break(end.sequence + 1, "missing")
    # Compare with the current head, because events are added during the verification.
    latest = (
        select(AuditHead.sequence).where(AuditHead.workspace_id == workspace_id).scalar_subquery()
    )
    beyond = exists().where(
        AuditEvent.workspace_id == workspace_id,
        AuditEvent.sequence > func.coalesce(latest, expected.sequence),
    )
    return Break(end.sequence + 1, "not_chained") if await session.scalar(select(beyond)) else None


async def changed_chain_ends(
    session: AsyncSession, since: datetime
) -> AsyncIterator[tuple[uuid.UUID, Anchor]]:
    """Yield each workspace whose chain has grown since that time, with the end of its chain."""
    rows = await session.stream(
        select(AuditHead.workspace_id, AuditHead.sequence, AuditHead.hash)
        .where(AuditHead.moved_at >= since)
        .order_by(AuditHead.workspace_id)
    )
    async for workspace_id, sequence, digest in rows:
        yield workspace_id, Anchor(sequence, digest)
