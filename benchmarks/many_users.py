"""Generator of partner users, which it inserts into the database directly."""

from pydantic import SecretStr
from sqlalchemy import insert

from partner_connector.db.engine import open_database
from partner_connector.db.models import PartnerUser
from partner_connector.ids import decode, encode, new_id
from partner_connector.settings import without_environment
from tests.api import rows

_BATCH_SIZE = 10_000


async def store_users(database_url: str, workspace_id: str, size: int, partners: int = 1) -> str:
    """Store `size` users, distributed over the partners. Return the id of one partner."""
    database = open_database(without_environment(database_url=SecretStr(database_url)))
    ours = rows.integration(decode("wsp", workspace_id))
    theirs = [rows.partner(ours) for _ in range(partners)]
    await rows.store(database, ours, *theirs)
    for start in range(0, size, _BATCH_SIZE):
        users = [
            {
                "id": new_id(),
                "workspace_id": ours.workspace_id,
                "integration_id": ours.id,
                "partner_id": theirs[number % partners].id,
                "meta_user_id": str(10**15 + number),
                "kind": "person",
                "state": "removed" if number // partners % 10 == 9 else "active",
                "name": f"Person {number} of Northwind",
                "email": f"person.{number}@northwind.example.com",
                "role": "EMPLOYEE",
                "role_class": "employee",
                "two_factor": "unknown",
                "first_seen_at": rows.SEEN_AT,
                "last_seen_at": rows.SEEN_AT,
            }
            for number in range(start, min(start + _BATCH_SIZE, size))
        ]
        async with database.writing() as session:
            await session.execute(insert(PartnerUser), users)
    await database.refresh_statistics(PartnerUser.__tablename__)
    await database.close()
    return encode("ptn", theirs[0].id)
