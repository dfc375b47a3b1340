"""Workspaces in the database."""

import uuid

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import Workspace


async def create(session: AsyncSession, name: str) -> Workspace:
    """A new tenant."""
    workspace = Workspace(name=name)
    session.add(workspace)
    await session.flush()
    return workspace


async def get(session: AsyncSession, workspace_id: uuid.UUID) -> Workspace | None:
    """One tenant."""
    return await session.get(Workspace, workspace_id)
