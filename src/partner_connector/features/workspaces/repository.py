"""Workspaces in the database."""

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import Workspace


async def create(session: AsyncSession, name: str) -> Workspace:
    """A new tenant."""
    workspace = Workspace(name=name)
    session.add(workspace)
    await session.flush()
    return workspace
