"""Workspaces in the database."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import Workspace


async def create(session: AsyncSession, name: str) -> Workspace:
    """Create and return a workspace."""
    workspace = Workspace(name=name)
    session.add(workspace)
    await session.flush()
    return workspace


async def list_all(session: AsyncSession) -> Sequence[Workspace]:
    """Return every workspace, oldest first."""
    return (await session.scalars(select(Workspace).order_by(Workspace.id))).all()
