"""What a worker's workflows work with: built once at the edge, handed to each room."""

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
class Workshop:
    """Unlike the API's context this one can open tokens and talk to Meta."""

    settings: Settings
    database: Database
    graph: GraphClient
    keyring: PrivateKeyring
    public_keyring: PublicKeyring
    queue: WorkQueue

    def recorder(self, workspace_id: uuid.UUID, cause: str) -> Recorder:
        """Records what this worker does in a workspace. `cause` is the id of what it works on."""
        return Recorder(workspace_id, "worker", cause, self.public_keyring.derive(PURPOSE))
