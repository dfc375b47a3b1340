"""Dependencies of a worker process: built once at its start and passed to every workflow."""

import uuid
from dataclasses import dataclass

from partner_connector.db.engine import Database
from partner_connector.durable.engine import WorkQueue
from partner_connector.features.audit.chain import PURPOSE
from partner_connector.features.audit.service import Recorder
from partner_connector.graph import GraphClient
from partner_connector.sealing.private import PrivateKeyring
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """Dependencies of one worker process. Only this context can open tokens and call Meta."""

    settings: Settings
    database: Database
    graph: GraphClient
    keyring: PrivateKeyring
    public_keyring: PublicKeyring
    queue: WorkQueue

    def recorder(self, workspace_id: uuid.UUID, cause: str) -> Recorder:
        """Return a recorder of audit events. `cause` is the id of the job, validation or token."""
        return Recorder(workspace_id, "worker", cause, self.public_keyring.derive(PURPOSE))
