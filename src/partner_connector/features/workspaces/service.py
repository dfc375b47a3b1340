"""Renaming of workspaces."""

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.locks import lock_workspace
from partner_connector.errors import found
from partner_connector.features.audit.service import Recorder
from partner_connector.ids import encode


async def rename(session: AsyncSession, audit: Recorder, name: str) -> None:
    """Rename the recorder's workspace and record an audit event. Raises `NotFound`.

    Changes and records nothing where the workspace has this name already.
    """
    workspace = found(await lock_workspace(session, audit.workspace_id, key_share=True))
    if workspace.name == name:
        return
    details = {"name": name, "previous_name": workspace.name}
    workspace.name = name
    await audit.record(
        session,
        action="workspace.renamed",
        subject=encode("wsp", workspace.id),
        details=details,
    )
