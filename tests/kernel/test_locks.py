"""Order of row locks: a transaction that locks in another order is refused."""

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
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "architecture.md"


class Rows:
    """Rows to lock: two partners, a token and a sync job."""

    def __init__(self, integration: Integration) -> None:
        self.integration = integration
        self.partners = [rows.partner(integration), rows.partner(integration)]
        self.partner: Partner = self.partners[0]
        self.token: Token = rows.token(self.partner)
        self.job: SyncJob = rows.sync_job(self.partner)


@pytest.fixture
async def stored(database: Database) -> Rows:
    """Stored rows."""
    workspace = Workspace(id=new_id(), name="Acme")
    made = Rows(rows.integration(workspace.id))
    for each in ([workspace], [made.integration], made.partners, [made.token, made.job]):
        await rows.store(database, *each)
    return made


async def _token_then_partner(session: AsyncSession, stored: Rows) -> None:
    assert await lock_token(session, stored.token.id)
    await lock_partner(session, stored.partner.id)


async def test_lock_out_of_order_is_refused(database: Database, stored: Rows) -> None:
    """Check that SQLite, which has no row locks, refuses a wrong order too."""
    async with database.writing() as session:
        with pytest.raises(LockOrderError, match="partner is locked after token"):
            await _token_then_partner(session, stored)


async def test_rows_of_same_kind_are_locked_in_order_of_ids(
    database: Database, stored: Rows
) -> None:
    """Check that the order holds for one query and for several calls."""
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


async def test_lock_out_of_order_is_logged_in_production(
    database: Database, stored: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check that the transaction continues."""
    monkeypatch.setattr(locks, "raise_on_violation", False)
    with capture_logs() as logged:
        async with database.writing() as session:
            await _token_then_partner(session, stored)
    assert [entry for entry in logged if entry["event"] == "lock_order_violated"] == [
        {
            "event": "lock_order_violated",
            "log_level": "error",
            "lock": "partner",
            "after": "token",
        }
    ]


async def test_locked_row_can_be_locked_again(database: Database, stored: Rows) -> None:
    """Check that any lock function of its table accepts the row again and keeps unsaved changes."""
    async with database.writing() as session:
        job = await lock_job(session, stored.job.id)
        assert job is not None
        job.phase = "applying"
        assert await lock_token(session, stored.token.id)
        assert await lock_job(session, stored.job.id) is job
        assert await lock_parent_job(session, stored.job.id) is job
        assert job.phase == "applying"


async def test_next_transaction_starts_without_locks(database: Database, stored: Rows) -> None:
    """Check that locks of one transaction do not count in the next one of the same session."""
    async with AsyncSession(database.engine) as session:
        assert await lock_token(session, stored.token.id)
        await session.commit()
        assert await lock_partner(session, stored.partner.id)


async def test_savepoint_rollback_releases_its_locks(database: Database, stored: Rows) -> None:
    """Check that a rollback releases the locks of inner savepoints too, a release keeps them."""
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
    """Check that no other file of the product uses `with_for_update`."""
    files = sorted(SOURCES.rglob("*.py"))
    found = [file for file in files if "with_for_update" in file.read_text(encoding="utf-8")]
    assert found == [SOURCES / "db" / "locks.py"]


def test_page_lists_lock_order() -> None:
    """Check that the page lists every lock function in the order of the code."""
    order = PAGE.read_text(encoding="utf-8").split("## The order")[1].split("\n### ")[0]
    listed = re.findall(r"^\| `(\w+)` \|", order, flags=re.MULTILINE)
    assert listed == [name for name, value in vars(locks).items() if isinstance(value, RowLock)]
