"""Putting a decision on record."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.locks import lock_audit_head
from partner_connector.db.models import AuditEvent, AuditHead
from partner_connector.db.sql import upsert
from partner_connector.features.audit.chain import BEGINNING, PURPOSE, link
from partner_connector.ids import encode, new_id
from partner_connector.sealing.public import PublicKeyring


@dataclass(frozen=True, slots=True)
class Recorder:
    """Writes down what one actor does in one workspace. `key` is the chain's secret."""

    workspace_id: uuid.UUID
    actor: str
    request_id: str
    key: bytes = field(repr=False)
    api_key_id: uuid.UUID | None = None

    @classmethod
    def of_command_line(cls, keyring: PublicKeyring, workspace_id: uuid.UUID) -> "Recorder":
        """For what somebody does on a host of ours."""
        request_id = encode("req", new_id())
        return cls(workspace_id, "command_line", request_id, keyring.derive(PURPOSE))

    async def record(
        self, session: AsyncSession, *, action: str, subject: str, details: dict[str, Any]
    ) -> None:
        """In the transaction that does it: both happen or neither. After all other locks, since
        others who write events of this workspace wait until it commits.

        `subject` is the id of what it was done to, as the API shows it. `details` holds no secret.
        """
        # What waits for somebody else's row must not hold the record meanwhile.
        await session.flush()
        head = await self._lock_head(session)
        event = AuditEvent(
            id=new_id(),
            workspace_id=self.workspace_id,
            occurred_at=now(),
            actor=self.actor,
            api_key_id=self.api_key_id,
            request_id=self.request_id,
            action=action,
            subject=subject,
            details=details,
        )
        self._append(head, event)
        session.add(event)
        await session.flush()

    def _append(self, head: AuditHead, event: AuditEvent) -> None:
        event.sequence = head.sequence + 1
        event.hash = link(self.key, event, head.hash)
        head.sequence, head.hash, head.moved_at = event.sequence, event.hash, now()

    async def _lock_head(self, session: AsyncSession) -> AuditHead:
        head = await lock_audit_head(session, self.workspace_id)
        if head is None:
            first = upsert(session, AuditHead).values(
                workspace_id=self.workspace_id, sequence=0, hash=BEGINNING
            )
            await session.execute(first.on_conflict_do_nothing())
            head = await lock_audit_head(session, self.workspace_id)
            assert head is not None
            await self._go_on_from_the_rows(session, head)
        return head

    async def _go_on_from_the_rows(self, session: AsyncSession, head: AuditHead) -> None:
        """Where somebody took the head away, work goes on, and what they did to the rows shows."""
        last = await session.scalar(
            select(AuditEvent)
            .where(AuditEvent.workspace_id == self.workspace_id)
            .order_by(AuditEvent.sequence.desc())
            .limit(1)
        )
        if last is not None:
            head.sequence, head.hash = last.sequence, last.hash
