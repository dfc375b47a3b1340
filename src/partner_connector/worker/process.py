"""Composition root of the worker, the process that calls Meta and holds the private keys."""

import contextlib
import resource
import uuid
from collections.abc import AsyncIterator
from functools import partial

import structlog

from partner_connector.clock import now
from partner_connector.db.engine import open_database
from partner_connector.durable import dropped_runs
from partner_connector.durable.dbos_internals import refuse_if_taken_over
from partner_connector.durable.dropped_runs import DroppedRuns
from partner_connector.durable.engine import WorkQueue, executor_running
from partner_connector.durable.liveness import BEAT_SECONDS, Liveness
from partner_connector.durable.periodic import Periodic, running
from partner_connector.graph import AppsecretProofMode, GraphClient, open_http_client
from partner_connector.sealing.keyring import KeyringSource
from partner_connector.sealing.private import PrivateKeyring
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from partner_connector.worker import graph_metrics
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.delivery.deliverer import POLL_SECONDS, Deliverer
from partner_connector.worker.delivery.sender import Sender
from partner_connector.worker.graph_budgets import DatabaseBudgets
from partner_connector.worker.maintenance import key_rotation
from partner_connector.worker.maintenance.key_rotation import Resealer
from partner_connector.worker.maintenance.sweeps import sweeps
from partner_connector.worker.schedule import due_rows
from partner_connector.worker.schedule.daily_syncs import Scheduler
from partner_connector.worker.schedule.daily_token_checks import TokenChecks
from partner_connector.worker.sync.workflow import SyncWorkflows
from partner_connector.worker.validation.workflow import ValidationWorkflows

# An engine step takes about 6 ms of CPU: a higher concurrency only makes each step slower.
WORKER_CONCURRENCY = 8
# SQLite has one process: a fixed id lets it continue its own runs after a restart.
_ONLY_EXECUTOR = "embedded"

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def worker_running(settings: Settings, ring: KeyringSource) -> AsyncIterator[None]:
    """Process the queues while the block runs."""
    # A core dump would contain every token in use.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    executor_id = _ONLY_EXECUTOR if settings.uses_sqlite else f"worker-{uuid.uuid4().hex}"
    async with contextlib.AsyncExitStack() as stack:
        context = await _open_context(settings, ring, stack)
        SyncWorkflows(context)
        ValidationWorkflows(context)
        tasks = []
        if not settings.uses_sqlite:
            liveness = Liveness(context.database, executor_id)
            await liveness.beat()
            # Registered first, so it runs last: hand over only after all work here has stopped.
            stack.push_async_callback(liveness.resign)
            # No jitter: other workers rely on the interval.
            beat = liveness.beat_and_take_over
            tasks.append(Periodic("heartbeat", BEAT_SECONDS, beat, at_once=False, jitter=0))
        executor = await stack.enter_async_context(
            executor_running(settings, executor_id, WORKER_CONCURRENCY)
        )
        sender = Sender(allow_loopback=settings.webhook_allow_loopback)
        stack.push_async_callback(sender.close)
        deliverer = Deliverer(context, sender)
        stack.push_async_callback(deliverer.stop)
        dropped = DroppedRuns(context.database, executor, executor_id)
        tasks.append(
            Periodic("dropped_runs", dropped_runs.POLL_SECONDS, dropped.poll, at_once=False)
        )
        await stack.enter_async_context(running(*tasks, *_periodic_tasks(context, deliverer)))
        log.info("worker_started", executor=executor_id)
        yield
        log.info("worker_stopping", executor=executor_id)


def _periodic_tasks(context: WorkerContext, deliverer: Deliverer) -> list[Periodic]:
    """Return the periodic tasks of a worker, except its heartbeat."""
    scheduler, token_checks = Scheduler(context), TokenChecks(context)
    update_gauges = partial(graph_metrics.update_gauges, context.graph)
    return [
        Periodic("graph_metrics", graph_metrics.POLL_SECONDS, update_gauges),
        *sweeps(context),
        Periodic("scheduled_checks", due_rows.POLL_SECONDS, lambda: scheduler.poll(now())),
        Periodic("token_checks", due_rows.POLL_SECONDS, lambda: token_checks.poll(now())),
        Periodic("resealing", key_rotation.POLL_SECONDS, Resealer(context).poll),
        Periodic("webhooks", POLL_SECONDS, lambda: deliverer.poll(now())),
    ]


async def _open_context(
    settings: Settings, ring: KeyringSource, stack: contextlib.AsyncExitStack
) -> WorkerContext:
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
        appsecret_proof=AppsecretProofMode(settings.appsecret_proof),
        concurrency=settings.graph_concurrency,
        budgets=DatabaseBudgets(database),
        instrument=graph_metrics.instrument_request,
        on_throttle=graph_metrics.count_throttle,
    )
    stack.push_async_callback(graph.settle)
    return WorkerContext(
        settings=settings,
        database=database.guarded_by(refuse_if_taken_over),
        graph=graph,
        keyring=PrivateKeyring(ring),
        public_keyring=PublicKeyring(ring),
        queue=queue,
    )
