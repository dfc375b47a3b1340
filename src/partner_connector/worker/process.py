"""The worker: the composition root of the process that talks to Meta and holds the private keys."""

import asyncio
import contextlib
import resource
import uuid
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from dbos import DBOS

from partner_connector.db.engine import open_database
from partner_connector.durable.dropped_runs import DroppedRuns
from partner_connector.durable.engine import WorkQueue, engine_config, launch_executor
from partner_connector.durable.liveness import Liveness
from partner_connector.durable.runs import refuse_if_taken_over
from partner_connector.features.sync_jobs.metrics import count_jobs_that_end
from partner_connector.graph import GraphClient, ProofMode, open_http_client
from partner_connector.sealing.keyring import Ring
from partner_connector.sealing.private import PrivateKeyring
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from partner_connector.worker import graph_metrics
from partner_connector.worker.context import Workshop
from partner_connector.worker.delivery.deliverer import Deliverer
from partner_connector.worker.delivery.sender import Sender
from partner_connector.worker.graph_budgets import DatabaseBudgets
from partner_connector.worker.maintenance.key_rotation import Resealer
from partner_connector.worker.maintenance.sweeper import Sweeper
from partner_connector.worker.schedule.daily_syncs import Scheduler
from partner_connector.worker.schedule.daily_token_checks import TokenChecks
from partner_connector.worker.sync.workflow import SyncWorkflows
from partner_connector.worker.validation.workflow import ValidationWorkflows

# About 6 ms of CPU per engine step: more than this at once only makes each one slower.
WORKER_CONCURRENCY = 8
# SQLite has one process: after a restart it goes on with what it left behind itself.
_ONLY_EXECUTOR = "embedded"

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def worker_running(settings: Settings, ring: Ring) -> AsyncIterator[None]:
    """Work off the queues for as long as the block lasts."""
    # A core dump would hold every token that is in use.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    count_jobs_that_end()
    executor_id = _ONLY_EXECUTOR if settings.uses_sqlite else f"worker-{uuid.uuid4().hex}"
    async with contextlib.AsyncExitStack() as stack:
        shop = await _open_workshop(settings, ring, stack)
        executor = DBOS(config=engine_config(settings, executor_id))
        SyncWorkflows(shop)
        ValidationWorkflows(shop)
        liveness = None if settings.uses_sqlite else Liveness(shop.database, executor_id)
        if liveness is not None:
            await liveness.beat()
            # Entered first, so left last: the work is handed over once nobody here works on it.
            stack.push_async_callback(liveness.resign)
        await launch_executor(WORKER_CONCURRENCY)
        stack.push_async_callback(_stop_executor, executor)
        if liveness is not None:
            await stack.enter_async_context(in_background(liveness.watch()))
        dropped = DroppedRuns(shop.database, executor, executor_id)
        await stack.enter_async_context(in_background(dropped.watch()))
        await stack.enter_async_context(in_background(graph_metrics.watch(shop.graph)))
        sweeper = Sweeper(shop)
        await stack.enter_async_context(in_background(sweeper.watch_what_is_due()))
        await stack.enter_async_context(in_background(sweeper.watch_what_is_old()))
        await stack.enter_async_context(in_background(Scheduler(shop).watch()))
        await stack.enter_async_context(in_background(TokenChecks(shop).watch()))
        await stack.enter_async_context(in_background(Resealer(shop).watch()))
        sender = Sender(allow_loopback=settings.webhook_allow_loopback)
        stack.push_async_callback(sender.close)
        await stack.enter_async_context(in_background(Deliverer(shop, sender).watch()))
        log.info("worker_started", executor=executor_id)
        yield
        log.info("worker_stops", executor=executor_id)


@contextlib.asynccontextmanager
async def in_background(watch: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run it beside the block, and end it with the block."""
    task = asyncio.create_task(watch)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _stop_executor(executor: DBOS) -> None:
    """Leave running work where it is: it is taken up again, here or on another host."""
    for stops in executor.background_thread_stop_events:
        stops.set()
    await _drop_running_work(executor)
    # Not on the loop's default threads: the engine has put its own in their place, and ends them.
    with ThreadPoolExecutor(max_workers=1) as thread:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(thread, lambda: DBOS.destroy(workflow_completion_timeout_sec=0))
    # What was taken from the queue at the very moment of the first look.
    await _drop_running_work(executor)


async def _drop_running_work(executor: DBOS) -> None:
    """Stop in the middle; the engine itself would let it run into its closed connections."""
    runs = set(executor._workflow_tasks)  # noqa: SLF001 - the engine only stops taking new work
    for run in runs:
        run.cancel()
    await asyncio.gather(*runs, return_exceptions=True)


async def _open_workshop(
    settings: Settings, ring: Ring, stack: contextlib.AsyncExitStack
) -> Workshop:
    database = open_database(settings)
    stack.push_async_callback(database.close)
    http = open_http_client(settings.graph_base_url, max_connections=settings.graph_concurrency * 2)
    stack.push_async_callback(http.aclose)
    queue = WorkQueue(settings)
    stack.callback(queue.close)
    secret = settings.meta_app_secret
    graph = GraphClient(
        http,
        version=settings.graph_version,
        app_id=settings.meta_app_id,
        app_secret=secret.get_secret_value() if secret else None,
        appsecret_proof=ProofMode(settings.appsecret_proof),
        concurrency=settings.graph_concurrency,
        budgets=DatabaseBudgets(database),
        watch=graph_metrics.watched,
        on_throttle=graph_metrics.count_throttle,
    )
    stack.push_async_callback(graph.settle)
    return Workshop(
        settings=settings,
        database=database.guarded_by(refuse_if_taken_over),
        graph=graph,
        keyring=PrivateKeyring(ring),
        public_keyring=PublicKeyring(ring),
        queue=queue,
    )
