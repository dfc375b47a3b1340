"""What a worker's workflows work with: built once at the edge, handed to each room."""

from dataclasses import dataclass

from partner_connector.database import Database
from partner_connector.engine import WorkQueue
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
