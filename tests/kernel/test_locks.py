"""Row locks are taken in one order, and a transaction that takes another is refused."""

import re
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

import partner_connector
from partner_connector.db import locks
from partner_connector.db.engine import Database
from partner_connector.db.locks import (
    LockOrderError,
    RowLock,
    lock_job,
    lock_parent_job,
    lock_partner,
    lock_token,
)
from partner_connector.db.models import Integration, Partner, SyncJob, Token, Workspace
from partner_connector.ids import new_id
from tests.api import rows

SOURCES = Path(partner_connector.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "locks.md"


class Rows:
    """One row of each kind."""

    def __init__(self, integration: Integration) -> None:
        self.integration = integration
        self.partners = [rows.partner(integration), rows.partner(integration)]
        self.partner: Partner = self.partners[0]
        self.token: Token = rows.token(self.partner)
        self.job: SyncJob = rows.sync_job(self.partner)


@pytest.fixture
async def stored(database: Database) -> Rows:
    """In the database."""
    workspace = Workspace(id=new_id(), name="Acme")
    made = Rows(rows.integration(workspace.id))
    for each in ([workspace], [made.integration], made.partners, [made.token, made.job]):
        await rows.store(database, *each)
    return made


async def _token_then_partner(session: AsyncSession, stored: Rows) -> None:
    assert await lock_token(session, stored.token.id)
    await lock_partner(session, stored.partner.id)


async def test_locking_out_of_order_is_refused(database: Database, stored: Rows) -> None:
    """On SQLite too, where a lock of a row is none."""
    async with database.writing() as session:
        with pytest.raises(LockOrderError, match="partner is locked after token"):
            await _token_then_partner(session, stored)


async def test_several_rows_of_a_kind_are_locked_in_the_order_of_their_ids(
    database: Database, stored: Rows
) -> None:
    """One by one as all at once."""
    first, second = sorted(partner.id for partner in stored.partners)
    async with database.writing() as session:
        found = await lock_partner.all(session, Partner.id.in_([second, first]))
        assert [partner.id for partner in found] == [first, second]
    async with database.writing() as session:
        await lock_partner(session, first)
        await lock_partner(session, second)
    async with database.writing() as session:
        await lock_partner(session, second)
        with pytest.raises(LockOrderError):
            await lock_partner(session, first)


async def test_in_production_it_is_logged(
    database: Database, stored: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction goes on."""
    monkeypatch.setattr(locks, "asserting", False)
    with capture_logs() as logged:
        async with database.writing() as session:
            await _token_then_partner(session, stored)
    assert [one for one in logged if one["event"] == "lock_order_violated"] == [
        {
            "event": "lock_order_violated",
            "log_level": "error",
            "lock": "partner",
            "after": "token",
        }
    ]


async def test_a_row_that_is_held_can_be_locked_again(database: Database, stored: Rows) -> None:
    """By any function of its table, and what was changed of it meanwhile stays changed."""
    async with database.writing() as session:
        job = await lock_job(session, stored.job.id)
        assert job is not None
        job.phase = "applying"
        assert await lock_token(session, stored.token.id)
        assert await lock_job(session, stored.job.id) is job
        assert await lock_parent_job(session, stored.job.id) is job
        assert job.phase == "applying"


async def test_each_transaction_begins_anew(database: Database, stored: Rows) -> None:
    """What one has locked says nothing about the next one, in the same session neither."""
    async with AsyncSession(database.engine) as session:
        assert await lock_token(session, stored.token.id)
        await session.commit()
        assert await lock_partner(session, stored.partner.id)


async def test_a_savepoint_releases_what_was_locked_in_it(database: Database, stored: Rows) -> None:
    """Where it is rolled back, and not where it is released; inner ones with the outer one."""
    async with database.writing() as session:
        async with session.begin_nested() as savepoint:
            async with session.begin_nested():
                await lock_token(session, stored.token.id)
            await savepoint.rollback()
        assert await lock_partner(session, stored.partner.id)
        async with session.begin_nested():
            await lock_token(session, stored.token.id)
        with pytest.raises(LockOrderError):
            await lock_job(session, stored.job.id)


def test_rows_are_locked_in_one_module() -> None:
    """No other file of the product spells a lock."""
    files = sorted(SOURCES.rglob("*.py"))
    found = [file for file in files if "with_for_update" in file.read_text(encoding="utf-8")]
    assert found == [SOURCES / "db" / "locks.py"]


def test_the_page_lists_the_order() -> None:
    """Every lock with its function, as in the code."""
    order = PAGE.read_text(encoding="utf-8").split("## The order")[1].split("\n### ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", order, flags=re.MULTILINE)
    assert listed == [name for name, value in vars(locks).items() if isinstance(value, RowLock)]
