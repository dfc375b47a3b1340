"""Putting a decision on record."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.auth import Caller
from partner_connector.models import AuditEvent


async def record(
    session: AsyncSession,
    caller: Caller,
    request_id: str,
    *,
    action: str,
    subject: str,
    details: dict[str, Any],
) -> None:
    """Write what the caller did, in the transaction that does it: both happen or neither.

    `subject` is the id of what it was done to, as the API shows it. `details` holds no secret.
    """
    event = AuditEvent(
        workspace_id=caller.workspace_id,
        api_key_id=caller.api_key_id,
        request_id=request_id,
        action=action,
        subject=subject,
        details=details,
    )
    session.add(event)
    await session.flush()
