"""Assumptions of `dbos_internals` about DBOS. A release that changes one of them fails here."""

import ast
import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from dbos import DBOS, DBOSConfiguredInstance
from dbos import error as dbos_errors
from sqlalchemy import inspect, text

from partner_connector.db.engine import Database
from partner_connector.db.revisions import sync_engine
from partner_connector.durable import dbos_internals
from partner_connector.durable.engine import INSTANCE, SYNC_QUEUE, Work, WorkQueue, executor_running
from partner_connector.settings import Settings

SOURCE = Path(dbos_internals.__file__).parents[1]
# Workflows are declared with DBOS's public decorators where their steps are.
WITH_WORKFLOWS = {"worker/sync/workflow.py", "worker/validation/workflow.py"}
EXECUTOR = "contract"
WORK = Work(
    workflow="contract",
    workflow_class="Contract",
    queue=SYNC_QUEUE,
    partition="one",
    subject_id="subject",
    run_id="contract:subject:1",
)


@DBOS.dbos_class(WORK.workflow_class)
class Contract(DBOSConfiguredInstance):
    """A workflow that writes when a test allows it, and then never ends."""

    def __init__(self) -> None:
        super().__init__(INSTANCE)
        self.begin(None)

    def begin(self, database: Database | None) -> None:
        """Reset the workflow for the next database."""
        self.database = database
        self.has_begun, self.may_write = asyncio.Event(), asyncio.Event()
        self.refused: list[BaseException | None] = []
        self.was_cancelled = False

    @DBOS.workflow(name=WORK.workflow)
    async def run(self, _subject_id: str, _attempt: int) -> None:
        """Write as the owner of the run, and write again when another worker may own it."""
        await self._write()
        self.has_begun.set()
        try:
            await self.may_write.wait()
            await self._write()
            self.has_begun.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise

    async def _write(self) -> None:
        assert self.database is not None
        try:
            async with self.database.writing() as session:
                await dbos_internals.refuse_if_taken_over(session)
        except dbos_errors.DBOSWorkflowConflictIDError as error:
            self.refused.append(error)
        else:
            self.refused.append(None)


CONTRACT = Contract()


@pytest.fixture
async def queue(settings: Settings) -> AsyncIterator[WorkQueue]:
    """A queue that tests can enqueue to."""
    opened = WorkQueue(settings)
    yield opened
    opened.close()


async def test_run_moves_from_queue_to_worker_and_back(
    settings: Settings, database: Database, queue: WorkQueue
) -> None:
    """Use every function of `dbos_internals` with a real executor on each database."""
    CONTRACT.begin(database)
    async with database.writing() as session:
        await queue.enqueue(session, WORK)
    async with database.reading() as session:
        found = await dbos_internals.queues(session)
        assert (found.queued.number, found.delayed.number, found.running.number) == (1, 0, 0)
        assert found.queued.seconds < 60
        assert await dbos_internals.attributes_of_run(session, WORK.run_id) == {}
    async with asyncio.timeout(60), executor_running(settings, EXECUTOR, 1) as executor:
        await CONTRACT.has_begun.wait()
        assert dbos_internals.runs_of(executor) == {WORK.run_id}
        async with database.reading() as session:
            assert await dbos_internals.unfinished_runs(session) == {EXECUTOR: {WORK.run_id}}
            running = (await dbos_internals.queues(session)).running
        assert running.number == 1
        assert running.seconds < 60
        await store_another_owner(database)
        CONTRACT.has_begun.clear()
        CONTRACT.may_write.set()
        await CONTRACT.has_begun.wait()
    mine, others = CONTRACT.refused
    assert mine is None
    assert isinstance(others, dbos_errors.DBOSWorkflowConflictIDError)
    assert CONTRACT.was_cancelled
    assert dbos_internals.runs_of(executor) == set()
    async with database.writing() as session:
        assert await dbos_internals.requeue_runs(session, [WORK.run_id, "unknown"]) == 1
        assert await dbos_internals.unfinished_runs(session) == {}
        assert (await dbos_internals.queues(session)).queued.number == 1
    CONTRACT.begin(database)
    async with asyncio.timeout(60), executor_running(settings, EXECUTOR, 1):
        await CONTRACT.has_begun.wait()
    assert CONTRACT.refused == [None]


async def store_another_owner(database: Database) -> None:
    """Store another owner of the run, as a takeover does."""
    on_sqlite = database.engine.dialect.name == "sqlite"
    table = "workflow_status" if on_sqlite else f"{dbos_internals.SCHEMA}.workflow_status"
    async with database.writing() as session:
        await session.execute(text(f"UPDATE {table} SET owner_xid = 'another'"))  # noqa: S608 - the test made the name


def test_migrations_are_counted_and_run_columns_exist(settings: Settings) -> None:
    engine = sync_engine(settings)
    has, needs = dbos_internals.table_versions(engine)
    assert has == needs > 0
    schema = None if settings.uses_sqlite else dbos_internals.SCHEMA
    columns = {each["name"] for each in inspect(engine).get_columns("workflow_status", schema)}
    engine.dispose()
    assert {*dbos_internals._COLUMNS, "attributes"} <= columns


def imports_of_dbos() -> Iterator[tuple[str, str]]:
    """Yield the file and the imported name of each import of DBOS in the product."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                if name.split(".")[0] == "dbos":
                    yield str(path.relative_to(SOURCE)), name


def test_only_durable_package_imports_dbos() -> None:
    """Check also that one file alone uses DBOS's private modules and its table."""
    found = list(imports_of_dbos())
    outside = {file for file, _ in found if not file.startswith("durable/")}
    assert outside == WITH_WORKFLOWS
    assert {file for file, name in found if "._" in name} == {"durable/dbos_internals.py"}
    for path in SOURCE.rglob("*.py"):
        if path.name != "dbos_internals.py":
            source = path.read_text(encoding="utf-8")
            assert "workflow_status" not in source, path
            assert "background_thread_stop_events" not in source, path
            assert "executor._" not in source, path
