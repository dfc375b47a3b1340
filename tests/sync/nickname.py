"""Two checks for updates of a user whose nickname changes.

Prints the result as JSON. Run this program in its own process, after `tests.sync.made_up_fact`.
"""

import asyncio
import json
import sys
from pathlib import Path

from pydantic import SecretStr

from partner_connector.api.app import create_app
from partner_connector.db import revisions
from partner_connector.db.engine import open_database
from partner_connector.db.models import Base
from partner_connector.features.partner_users.export import partner_users_csv
from partner_connector.features.partner_users.repository import PartnerUserFilter
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings, without_environment
from tests.sync.checks import Json, World, make_partner


async def run(settings: Settings) -> Json:
    """Return the change feed, the CSV and the schemas."""
    database = open_database(settings)
    partner = await make_partner(database)
    for nickname in ("Addy", "Ads"):
        ada = {"id": "901", "name": "Ada", "nickname": nickname}
        await partner.check(World({"11": {"901": ("ANALYZE",)}}, {"901": ada}))
    csv = partner_users_csv(database, partner.workspace_id, PartnerUserFilter())
    result = {
        "feed": await partner.feed(),
        "csv": b"".join([lines async for lines in csv]).decode(),
        "schemas": create_app(settings, PublicKeyring(keyring_file.generate())).openapi()[
            "components"
        ]["schemas"],
    }
    await database.close()
    return result


def main(directory: Path) -> None:
    """Create the tables, and run the checks."""
    path = directory / "nickname.db"
    settings = without_environment(
        data_dir=directory, database_url=SecretStr(f"sqlite:///{path}"), rate_limit="off"
    )
    engine = revisions.sync_engine(settings)
    Base.metadata.create_all(engine)
    engine.dispose()
    print(json.dumps(asyncio.run(run(settings))))


main(Path(sys.argv[1]))
