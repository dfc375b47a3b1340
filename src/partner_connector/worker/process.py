"""The worker: the composition root of the process that talks to Meta and holds the private keys."""

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
from partner_connector.graph import GraphClient, ProofMode, open_http_client
from partner_connector.sealing.keyring import Ring
from partner_connector.sealing.private import PrivateKeyring
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from partner_connector.worker import graph_metrics
from partner_connector.worker.context import Workshop
from partner_connector.worker.delivery.deliverer import LOOK_SECONDS, Deliverer
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
    executor_id = _ONLY_EXECUTOR if settings.uses_sqlite else f"worker-{uuid.uuid4().hex}"
    async with contextlib.AsyncExitStack() as stack:
        shop = await _open_workshop(settings, ring, stack)
        SyncWorkflows(shop)
        ValidationWorkflows(shop)
        tasks = []
        if not settings.uses_sqlite:
            liveness = Liveness(shop.database, executor_id)
            await liveness.beat()
            # Entered first, so left last: the work is handed over once nobody here works on it.
            stack.push_async_callback(liveness.resign)
            # Without jitter: the others count on the beat.
            beat = liveness.beat_and_take_over
            tasks.append(Periodic("heartbeat", BEAT_SECONDS, beat, at_once=False, jitter=0))
        executor = await stack.enter_async_context(
            executor_running(settings, executor_id, WORKER_CONCURRENCY)
        )
        sender = Sender(allow_loopback=settings.webhook_allow_loopback)
        stack.push_async_callback(sender.close)
        deliverer = Deliverer(shop, sender)
        stack.push_async_callback(deliverer.stop)
        dropped = DroppedRuns(shop.database, executor, executor_id)
        tasks.append(
            Periodic("dropped_runs", dropped_runs.LOOK_SECONDS, dropped.look, at_once=False)
        )
        await stack.enter_async_context(running(*tasks, *_periodic_tasks(shop, deliverer)))
        log.info("worker_started", executor=executor_id)
        yield
        log.info("worker_stops", executor=executor_id)


def _periodic_tasks(shop: Workshop, deliverer: Deliverer) -> list[Periodic]:
    """List what a worker does again and again, beside its heartbeat."""
    scheduler, token_checks = Scheduler(shop), TokenChecks(shop)
    look_at_graph = partial(graph_metrics.look, shop.graph)
    return [
        Periodic("graph_metrics", graph_metrics.LOOK_SECONDS, look_at_graph),
        *sweeps(shop),
        Periodic("scheduled_checks", due_rows.LOOK_SECONDS, lambda: scheduler.look(now())),
        Periodic("token_checks", due_rows.LOOK_SECONDS, lambda: token_checks.look(now())),
        Periodic("resealing", key_rotation.LOOK_SECONDS, Resealer(shop).look),
        Periodic("webhooks", LOOK_SECONDS, lambda: deliverer.look(now())),
    ]


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
