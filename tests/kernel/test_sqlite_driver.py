"""Looking at SQLite: at once where it is little, and elsewhere in a thread."""

import asyncio

import pytest
from sqlalchemy import text

from partner_connector.db.engine import Database

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

# Some hundred milliseconds of SQLite's machine.
_LONG = text(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)"
    " SELECT count(*) FROM n"
)


async def test_what_takes_long_holds_up_nobody(database: Database) -> None:
    """The event loop goes on while a long statement runs, and its answer is whole."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    turning = asyncio.create_task(turn())
    async with database.looking() as session:
        assert await session.scalar(_LONG) == 1_000_000
    turning.cancel()
    assert turns > 5
