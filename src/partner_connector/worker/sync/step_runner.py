"""Runner of the steps of a sync job: locks the job, and handles failures."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.locks import lock_partner
from partner_connector.db.models import SyncJob
from partner_connector.features.tokens.health_changes import record_health_changes
from partner_connector.features.tokens.repository import TokenRepository
from partner_connector.graph import GraphError, GraphReader, TokenDead
from partner_connector.ids import encode
from partner_connector.sealing.private import UnreadableToken
from partner_connector.telemetry import tracing
from partner_connector.worker.backoff import MAX_ATTEMPTS, Pause, StepCrashed, pause_for
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.sync import progress
from partner_connector.worker.sync.target import Target, load_target
from partner_connector.worker.token_decryption import TokenMissing, record_token_health

GO_ON = "go_on"
AGAIN = "again"
STOP = "stop"

log = structlog.get_logger()


Step = Callable[[WorkerContext, Target, int], Awaitable[str]]


class AttemptEnded(Exception):
    """End of an attempt whose job was cancelled or deleted, or has a newer attempt."""


@asynccontextmanager
async def lock_running_job(
    context: WorkerContext, target: Target, attempt: int
) -> AsyncIterator[tuple[AsyncSession, SyncJob]]:
    """Open a transaction with the job's row locked. Raises `AttemptEnded`."""
    async with context.database.writing() as session:
        job = await progress.running_job(session, target.job_id, attempt)
        if job is None:
            raise AttemptEnded
        yield session, job


async def run_step(context: WorkerContext, step: Step, job_id: str, attempt: int) -> str:
    """Run a step and return its answer.

    Returns `stop` if the attempt is over, or after a failure, which parks or fails the job.

    Raises `StepCrashed` for an internal error.
    """
    try:
        return await _run_step(context, step, job_id, attempt)
    except Exception as error:
        raise StepCrashed.of(error) from None


async def _run_step(context: WorkerContext, step: Step, job_id: str, attempt: int) -> str:
    with structlog.contextvars.bound_contextvars(job_id=job_id, attempt=attempt):
        async with context.database.reading() as session:
            job = await session.get(SyncJob, uuid.UUID(job_id))
            if job is None or job.attempt != attempt or job.status != "running":
                return STOP
            target = await load_target(session, job)
            other_token = _reads_with_another_token(job, target)
        workspace = {"workspace_id": str(job.workspace_id)}
        with (
            structlog.contextvars.bound_contextvars(**workspace),
            tracing.span(f"step {step.__name__}", job_id=job_id, **workspace),
        ):
            if other_token:
                await _restart_reading(context, target, attempt)
                return STOP
            return await _execute(context, step, target, attempt)


async def _execute(context: WorkerContext, step: Step, target: Target, attempt: int) -> str:
    try:
        return await step(context, target, attempt)
    except AttemptEnded:
        return STOP
    except (GraphError, UnreadableToken, TokenMissing) as error:
        async with context.database.writing() as session:
            job = await progress.running_job(session, target.job_id, attempt)
            if job is not None:
                await _handle_failure(context, session, job, target, error)
    return STOP


def _reads_with_another_token(job: SyncJob, target: Target) -> bool:
    """Return True if the token was replaced since the lists were read.

    The new token may see more than the old token, whose lists would then count as complete.
    """
    token = target.partner_token
    return token is not None and job.read_with is not None and job.read_with != token.id


async def _restart_reading(context: WorkerContext, target: Target, attempt: int) -> None:
    async with context.database.writing() as session:
        job = await progress.running_job(session, target.job_id, attempt)
        if job is not None:
            log.info("sync_job_reading_restarted", reason="token_replaced")
            await progress.discard_reads(session, job)
            await progress.park(session, context.queue, job, Pause("retrying", now()))


class CallCounter:
    """Counter of a reader's calls, for adding each call to a job once."""

    def __init__(self, reader: GraphReader) -> None:
        self._reader = reader
        self._counted = 0

    def new(self) -> int:
        """Return the number of calls since the last call of this method, as Meta counts them."""
        before, self._counted = self._counted, self._reader.meter.counted_calls
        return self._counted - before


async def _handle_failure(
    context: WorkerContext,
    session: AsyncSession,
    job: SyncJob,
    target: Target,
    error: GraphError | UnreadableToken | TokenMissing,
) -> None:
    pause = _pause(error, job.attempt)
    if pause is not None:
        log.info("sync_job_waiting", reason=pause.reason, error=type(error).__name__)
        await progress.park(session, context.queue, job, pause)
        return
    if isinstance(error, (TokenDead, UnreadableToken)) and await _was_replaced(session, target):
        # The token was replaced during the attempt; the next attempt uses the new token.
        await progress.park(session, context.queue, job, Pause("retrying", now()))
        return
    log.warning("sync_job_failed", error=type(error).__name__)
    await progress.fail(session, job, _failure(error, job))
    used = target.partner_token if job.partner_id else target.own_token
    audit = context.recorder(job.workspace_id, encode("job", job.id))
    async with record_health_changes(session, audit, used.id if used is not None else None):
        if isinstance(error, TokenDead):
            await record_token_health(session, used, "invalid")
        if isinstance(error, UnreadableToken):
            await record_token_health(session, used, "unreadable")


async def _was_replaced(session: AsyncSession, target: Target) -> bool:
    """Return True if another token is active than the token that this attempt read with."""
    used = target.partner_token if target.partner_id else target.own_token
    if used is None:
        return False
    if target.partner_id is not None:
        await lock_partner(session, target.partner_id)
    tokens = TokenRepository(session, used.workspace_id)
    active = await tokens.active(target.integration_id, target.partner_id)
    return active is not None and active.id != used.id


def _pause(error: GraphError | UnreadableToken | TokenMissing, attempt: int) -> Pause | None:
    if attempt >= MAX_ATTEMPTS:
        return None
    if isinstance(error, GraphError):
        return pause_for(error, attempt)
    return error.pause if isinstance(error, TokenMissing) else None


def _failure(error: GraphError | UnreadableToken | TokenMissing, job: SyncJob) -> dict[str, object]:
    if isinstance(error, GraphError):
        return progress.graph_failure(error)
    owner = "partner" if job.partner_id else "integration"
    if isinstance(error, UnreadableToken):
        return progress.own_failure(
            "token_unreadable",
            error_class="configuration",
            user_action="reconnect_token",
            detail=f"The {owner}'s stored token cannot be decrypted with this deployment's keys. "
            "If a key is missing, restore it. Otherwise connect a new token.",
        )
    return progress.own_failure(
        "token_missing",
        error_class="configuration",
        user_action="reconnect_token",
        detail=f"The {owner} has no active token. Connect a token, then check for updates again.",
    )
