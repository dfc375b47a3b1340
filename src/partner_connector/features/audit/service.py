"""Recording of audit events."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.locks import lock_audit_head
from partner_connector.db.models import AuditEvent, AuditHead
from partner_connector.db.sql import upsert
from partner_connector.features.audit.chain import INITIAL_HASH, PURPOSE, event_hash
from partner_connector.ids import encode, new_id
from partner_connector.sealing.public import PublicKeyring


@dataclass(frozen=True, slots=True)
class Recorder:
    """Writer of audit events for one actor in one workspace. `key` is the secret of the chain."""

    workspace_id: uuid.UUID
    actor: str
    request_id: str
    key: bytes = field(repr=False)
    api_key_id: uuid.UUID | None = None

    @classmethod
    def of_command_line(cls, keyring: PublicKeyring, workspace_id: uuid.UUID) -> "Recorder":
        """Return a recorder for a command that an operator runs on a host of this deployment."""
        request_id = encode("req", new_id())
        return cls(workspace_id, "command_line", request_id, keyring.derive(PURPOSE))

    async def record(
        self, session: AsyncSession, *, action: str, subject: str, details: dict[str, Any]
    ) -> None:
        """Add an audit event in the transaction of the action, so that both commit or neither.

        Call it after all other locks are taken: it locks the workspace's chain head, and other
        writers of events wait until the transaction commits. `subject` is the id of the changed
        resource as the API shows it. `details` must not contain a secret.
        """
        # A statement that waits for another transaction's row must not hold the chain head.
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
        event.hash = event_hash(self.key, event, head.hash)
        head.sequence, head.hash, head.moved_at = event.sequence, event.hash, now()

    async def _lock_head(self, session: AsyncSession) -> AuditHead:
        head = await lock_audit_head(session, self.workspace_id)
        if head is None:
            first = upsert(session, AuditHead).values(
                workspace_id=self.workspace_id, sequence=0, hash=INITIAL_HASH
            )
            await session.execute(first.on_conflict_do_nothing())
            head = await lock_audit_head(session, self.workspace_id)
            assert head is not None
            await self._move_to_last_event(session, head)
        return head

    async def _move_to_last_event(self, session: AsyncSession, head: AuditHead) -> None:
        """Set a new head to the last event. It matters when an attacker deleted the head: work
        continues, and a verification still finds changed rows.
        """
        last = await session.scalar(
            select(AuditEvent)
            .where(AuditEvent.workspace_id == self.workspace_id)
            .order_by(AuditEvent.sequence.desc())
            .limit(1)
        )
        if last is not None:
            head.sequence, head.hash = last.sequence, last.hash
