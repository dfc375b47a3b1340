"""Interface to the durable engine (DBOS).

Work is enqueued in the transaction of the caller: the row that describes the work and the queue
entry are committed together or not at all. An entry holds ids, never a token. It is stored as JSON,
because the library's default, pickle, would run code from the database.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from partner_connector.clock import now
from partner_connector.db.engine import IDLE_TRANSACTION_SECONDS, prepare_sqlite_connection
from partner_connector.durable.dbos_internals import SCHEMA, stop_executor
from partner_connector.settings import Settings
from partner_connector.telemetry import tracing

APPLICATION = "partner-connector"
# Constant on purpose: with the default, a hash of the source, a deploy would strand running jobs.
APPLICATION_VERSION = "1"
# Attribute of a run that holds the trace of the request that enqueued it.
TRACEPARENT = "traceparent"
# The one configured instance of each workflow class in a worker.
INSTANCE = "worker"

SYNC_QUEUE = "sync"
VALIDATION_QUEUE = "validation"
QUEUES = (SYNC_QUEUE, VALIDATION_QUEUE)


@dataclass(frozen=True, slots=True)
class Work:
    """Request for one run of one workflow.

    Work with the same `partition` in one queue runs one at a time. Enqueuing the same `run_id`
    twice makes one run.
    """

    workflow: str
    workflow_class: str
    queue: str
    partition: str
    subject_id: str
    run_id: str
    attempt: int = 1
    not_before: datetime | None = None

    def options(self) -> EnqueueOptions:
        """Convert the work to options of the engine."""
        options = EnqueueOptions(
            workflow_name=self.workflow,
            class_name=self.workflow_class,
            instance_name=INSTANCE,
            queue_name=self.queue,
            queue_partition_key=self.partition,
            workflow_id=self.run_id,
            app_version=APPLICATION_VERSION,
        )
        if self.not_before is not None:
            options["delay_seconds"] = max(0.0, (self.not_before - now()).total_seconds())
        return options


class WorkQueue:
    """Client that enqueues work and runs nothing. The API uses no other part of the engine."""

    def __init__(self, settings: Settings) -> None:
        self._client = DBOSClient(
            system_database_url=engine_url(settings),
            system_database_engine=engine_connection_pool(settings),
            dbos_system_schema=SCHEMA,
            serializer=DBOSPortableJSONSerializer(),
            application_name=APPLICATION,
            lazy=True,
        )

    async def enqueue(self, session: AsyncSession, work: Work) -> None:
        """Enqueue work in the session's transaction. The workflow gets its subject and attempt."""

        options = work.options()
        if (traceparent := tracing.traceparent()) is not None:
            options["attributes"] = {TRACEPARENT: traceparent}

        def in_transaction(sync_session: Session) -> None:
            self._client.enqueue_in_transaction(
                sync_session, options, work.subject_id, work.attempt
            )

        await session.run_sync(in_transaction)

    def close(self) -> None:
        """Close the connections of the engine's client."""
        self._client.destroy()


def engine_url(settings: Settings) -> str:
    """Return the URL of our database, which also holds the engine's tables.

    Sharing one database lets queue entries commit with our rows.
    """
    return settings.sqlalchemy_url().render_as_string(hide_password=False)


def engine_connection_pool(settings: Settings) -> sa.Engine | None:
    """Return a SQLite pool, prepared like ours; None on PostgreSQL: the engine makes its own."""
    if not settings.uses_sqlite:
        return None
    pool = sa.create_engine(settings.sqlalchemy_url(), hide_parameters=True, pool_size=20)

    @event.listens_for(pool, "connect")
    def prepare(dbapi_connection: sa.engine.interfaces.DBAPIConnection, record: object) -> None:
        prepare_sqlite_connection(dbapi_connection, record)
        # The engine reads, then writes: a deferred transaction fails with "database is locked".
        dbapi_connection.isolation_level = "IMMEDIATE"

    return pool


def engine_config(settings: Settings, executor_id: str) -> DBOSConfig:
    """Return the configuration of an executor. Only `migrate` runs migrations, never a launch."""
    return DBOSConfig(
        name=APPLICATION,
        system_database_url=engine_url(settings),
        system_database_engine=engine_connection_pool(settings),
        dbos_system_schema=SCHEMA,
        application_version=APPLICATION_VERSION,
        executor_id=executor_id,
        serializer=DBOSPortableJSONSerializer(),
        run_migrations=False,
        sys_db_idle_transaction_timeout_sec=IDLE_TRANSACTION_SECONDS,
        log_level="WARNING",
        enable_otlp=False,
    )


def migrate_tables(settings: Settings) -> None:
    """Migrate the engine's own tables to the newest version."""
    DBOS.migrate(engine_url(settings), schema=SCHEMA)


@asynccontextmanager
async def executor_running(
    settings: Settings, executor_id: str, worker_concurrency: int
) -> AsyncIterator[DBOS]:
    """Process the queues while the block runs. Create the workflows before entering it."""
    executor = DBOS(config=engine_config(settings, executor_id))
    DBOS.launch()
    for queue in QUEUES:
        await DBOS.register_queue_async(
            queue,
            partition_concurrency=1,
            worker_concurrency=worker_concurrency,
            polling_interval_sec=0.1,
            on_conflict="always_update",
        )
    try:
        yield executor
    finally:
        await stop_executor(executor)
