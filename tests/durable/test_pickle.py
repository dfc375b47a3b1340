"""Pickles in the engine's tables: a role that may enqueue must not run code in a worker."""

import asyncio
import base64
import pickle
from pathlib import Path

import pytest
import sqlalchemy as sa
from dbos import DBOS, DBOSConfiguredInstance
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.engine import Database
from partner_connector.durable import dbos_internals
from partner_connector.durable.engine import (
    INSTANCE,
    SYNC_QUEUE,
    Work,
    WorkQueue,
    executor_running,
)
from partner_connector.settings import Settings

WORKFLOW = "pickled"
VALUES = {
    "workflow_status": ("inputs", "output", "error"),
    "workflow_input": ("inputs",),
    "workflow_output": ("output", "error"),
    "operation_outputs": ("output", "error"),
    "notifications": ("message",),
    "workflow_events": ("value",),
    "workflow_events_history": ("value",),
    "streams": ("value",),
}
REQUIRED: dict[str, dict[str, object]] = {
    "operation_outputs": {"function_id": 7, "function_name": "step", "retention_timestamp": 0},
    "notifications": {"destination_uuid": "first", "message_uuid": "message"},
    "workflow_events": {"key": "key"},
    "workflow_events_history": {"key": "key", "function_id": 7},
    "streams": {"key": "key", "offset": 0, "function_id": 7},
}


# Their rows are read in the format that the row of the run names.
READ_AS_RUN_SAYS = ("workflow_input", "workflow_output")


class Payload:
    """An object whose pickle writes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.write_text, (self.path, "code ran")


@DBOS.dbos_class("Pickled")
class Pickled(DBOSConfiguredInstance):
    """A workflow that records each subject."""

    def __init__(self) -> None:
        super().__init__(INSTANCE)
        self.subjects: list[str] = []

    @DBOS.workflow(name=WORKFLOW)
    async def run(self, subject_id: str, _attempt: int) -> str:
        """Record the subject."""
        self.subjects.append(subject_id)
        return subject_id


PICKLED = Pickled()


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that exists only once code from the database has run."""
    return tmp_path / "code-ran"


@pytest.fixture
def payload(marker: Path) -> str:
    """A pickle as DBOS stores it."""
    return base64.b64encode(pickle.dumps(Payload(marker))).decode()


def assert_no_code_ran(marker: Path) -> None:
    """Assert that no pickle was read."""
    assert not marker.exists()


def work(subject: str) -> Work:
    """Return work for one subject, each in a partition of its own."""
    return Work(WORKFLOW, "Pickled", SYNC_QUEUE, subject, subject, subject)


def schema_of(session: AsyncSession) -> str | None:
    """Return the schema of the engine's tables. SQLite has none."""
    return None if session.get_bind().dialect.name == "sqlite" else dbos_internals.SCHEMA


async def lift_constraint(session: AsyncSession, table: str) -> None:
    """Allow every format again, as in a database in which the constraint is missing."""
    table = "workflow_status" if table in READ_AS_RUN_SAYS else table
    if schema_of(session) is None:
        for event in ("insert", "update"):
            await session.execute(text(f"DROP TRIGGER {table}_only_portable_json_{event}"))
    else:
        drop = f"ALTER TABLE {schema_of(session)}.{table} DROP CONSTRAINT only_portable_json"
        await session.execute(text(drop))


async def plant(session: AsyncSession, table: str, column: str, payload: str) -> None:
    """Write a pickle into one column: of the run itself, or of a new row."""
    values = {column: payload, "serialization": "py_pickle"}
    if table in READ_AS_RUN_SAYS:
        names = ("workflow_uuid", column, "retention_timestamp")
        payloads = sa.table(table, *map(sa.column, names), schema=schema_of(session))
        await session.execute(payloads.delete().where(payloads.c.workflow_uuid == "first"))
        await session.execute(
            payloads.insert().values(dict(zip(names, ("first", payload, 0), strict=True)))
        )
        table, values = "workflow_status", {"serialization": "py_pickle"}
    if table != "workflow_status":
        values |= {"workflow_uuid": "first"} if table != "notifications" else {}
        row = sa.table(table, *map(sa.column, REQUIRED[table] | values), schema=schema_of(session))
        await session.execute(row.insert().values(REQUIRED[table] | values))
        return
    runs = sa.table(
        table, sa.column("workflow_uuid"), *map(sa.column, values), schema=schema_of(session)
    )
    await session.execute(runs.update().where(runs.c.workflow_uuid == "first").values(values))


COLUMNS = [(table, column) for table, columns in VALUES.items() for column in columns]


@pytest.mark.parametrize(("table", "column"), COLUMNS)
async def test_database_refuses_row_that_names_pickle(
    settings: Settings, database: Database, payload: str, table: str, column: str
) -> None:
    queue = WorkQueue(settings)
    async with database.writing() as session:
        await queue.enqueue(session, work("first"))
    queue.close()
    with pytest.raises(DBAPIError, match="only_portable_json"):
        async with database.writing() as session:
            await plant(session, table, column, payload)


async def test_pickled_run_fails_and_other_work_goes_on(
    settings: Settings, database: Database, payload: str, marker: Path
) -> None:
    """Without the constraint, the reader of pickles still refuses."""
    PICKLED.subjects.clear()
    queue = WorkQueue(settings)
    async with database.writing() as session:
        await queue.enqueue(session, work("first"))
        await lift_constraint(session, "workflow_status")
    async with database.writing() as session:
        await plant(session, "workflow_input", "inputs", payload)
        await queue.enqueue(session, work("second"))
    queue.close()
    async with asyncio.timeout(60), executor_running(settings, "pickle", 2):
        while await status_of(database, "first") != "ERROR" or PICKLED.subjects != ["second"]:
            await asyncio.sleep(0.05)
    assert_no_code_ran(marker)


async def status_of(database: Database, run_id: str) -> str:
    """Return the engine's status of a run."""
    async with database.reading() as session:
        names = ("workflow_uuid", "status")
        runs = sa.table("workflow_status", *map(sa.column, names), schema=schema_of(session))
        query = sa.select(runs.c.status).where(runs.c.workflow_uuid == run_id)
        return str(await session.scalar(query))


@pytest.mark.parametrize(("table", "column"), COLUMNS)
async def test_reader_refuses_pickle_in_every_column(
    settings: Settings, database: Database, payload: str, marker: Path, table: str, column: str
) -> None:
    """Without the constraint, no public way to read the value runs its code."""
    queue = WorkQueue(settings)
    async with database.writing() as session:
        await queue.enqueue(session, work("first"))
        await lift_constraint(session, table)
    async with database.writing() as session:
        await plant(session, table, column, payload)
    queue.close()
    async with asyncio.timeout(60), executor_running(settings, "pickle", 1):
        results = await asyncio.gather(
            DBOS.list_workflows_async(load_input=True, load_output=True),
            DBOS.list_workflow_steps_async("first"),
            DBOS.get_all_events_async("first"),
            DBOS.get_event_async("first", "key", timeout_seconds=0),
            anext(DBOS.read_stream_async("first", "key")),
            return_exceptions=True,
        )
    assert not any(isinstance(result, AttributeError) for result in results), results
    assert_no_code_ran(marker)
