"""What every step of a check has in common: whose job it is, and what a failure means."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.locks import lock_partner
from partner_connector.db.models import SyncJob
from partner_connector.features.tokens.health_changes import telling_health_changes
from partner_connector.features.tokens.repository import TokenRepository
from partner_connector.graph import GraphError, GraphReader, TokenDead
from partner_connector.ids import encode
from partner_connector.sealing.private import UnreadableToken
from partner_connector.telemetry import tracing
from partner_connector.worker.backoff import MOST_ATTEMPTS, Pause, StepCrashed, pause_for
from partner_connector.worker.context import Workshop
from partner_connector.worker.sync import progress
from partner_connector.worker.sync.target import Target, load_target
from partner_connector.worker.token_decryption import TokenMissing, note_token_health

GO_ON = "go_on"
AGAIN = "again"
STOP = "stop"

log = structlog.get_logger()


Step = Callable[[Workshop, Target, int], Awaitable[str]]


class AttemptEnded(Exception):
    """The job is no longer this attempt's: cancelled, taken over, or gone."""


@asynccontextmanager
async def held_job(
    shop: Workshop, target: Target, attempt: int
) -> AsyncIterator[tuple[AsyncSession, SyncJob]]:
    """Open a transaction with the job's row locked. Raises `AttemptEnded`."""
    async with shop.database.writing() as session:
        job = await progress.running_job(session, target.job_id, attempt)
        if job is None:
            raise AttemptEnded
        yield session, job


async def run_step(shop: Workshop, step: Step, job_id: str, attempt: int) -> str:
    """The step's answer, or `stop` once what went wrong has been written down.

    Raises `StepCrashed` for a fault of our own.
    """
    try:
        return await _run_step(shop, step, job_id, attempt)
    except Exception as error:
        raise StepCrashed.of(error) from None


async def _run_step(shop: Workshop, step: Step, job_id: str, attempt: int) -> str:
    with structlog.contextvars.bound_contextvars(job_id=job_id, attempt=attempt):
        async with shop.database.reading() as session:
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
                await _read_anew(shop, target, attempt)
                return STOP
            return await _take(shop, step, target, attempt)


async def _take(shop: Workshop, step: Step, target: Target, attempt: int) -> str:
    try:
        return await step(shop, target, attempt)
    except AttemptEnded:
        return STOP
    except (GraphError, UnreadableToken, TokenMissing) as error:
        async with shop.database.writing() as session:
            mine = await progress.running_job(session, target.job_id, attempt)
            if mine is not None:
                await _settle(shop, session, mine, target, error)
    return STOP


def _reads_with_another_token(job: SyncJob, target: Target) -> bool:
    """Whether the token was replaced since the lists were read: the new one may see more, and
    would be taken for a proof of what the old one was not shown.
    """
    token = target.partner_token
    return token is not None and job.read_with is not None and job.read_with != token.id


async def _read_anew(shop: Workshop, target: Target, attempt: int) -> None:
    async with shop.database.writing() as session:
        job = await progress.running_job(session, target.job_id, attempt)
        if job is not None:
            log.info("sync_job_reads_anew", reason="token_replaced")
            await progress.forget_what_was_read(session, job)
            await progress.park(session, shop.queue, job, Pause("retrying", now()))


class CallCounter:
    """Counts a reader's calls into a job, each of them once."""

    def __init__(self, reader: GraphReader) -> None:
        self._reader = reader
        self._told = 0

    def new(self) -> int:
        """Calls since the last time this was asked, as Meta counts them."""
        before, self._told = self._told, self._reader.meter.counted_calls
        return self._told - before


async def _settle(
    shop: Workshop,
    session: AsyncSession,
    job: SyncJob,
    target: Target,
    error: GraphError | UnreadableToken | TokenMissing,
) -> None:
    pause = _pause(error, job.attempt)
    if pause is not None:
        log.info("sync_job_waits", reason=pause.reason, error=type(error).__name__)
        await progress.park(session, shop.queue, job, pause)
        return
    if isinstance(error, (TokenDead, UnreadableToken)) and await _was_replaced(session, target):
        # The token was replaced under way: the check goes on with the new one.
        await progress.park(session, shop.queue, job, Pause("retrying", now()))
        return
    log.warning("sync_job_failed", error=type(error).__name__)
    await progress.fail(session, job, _failure(error, job))
    used = target.partner_token if job.partner_id else target.host_token
    audit = shop.recorder(job.workspace_id, encode("job", job.id))
    async with telling_health_changes(session, audit, used.id if used is not None else None):
        if isinstance(error, TokenDead):
            await note_token_health(session, used, "invalid")
        if isinstance(error, UnreadableToken):
            await note_token_health(session, used, "unreadable")


async def _was_replaced(session: AsyncSession, target: Target) -> bool:
    """Whether the owner has another active token than the one that was read with."""
    used = target.partner_token if target.partner_id else target.host_token
    if used is None:
        return False
    if target.partner_id is not None:
        await lock_partner(session, target.partner_id)
    tokens = TokenRepository(session, used.workspace_id)
    active = await tokens.active(target.integration_id, target.partner_id)
    return active is not None and active.id != used.id


def _pause(error: GraphError | UnreadableToken | TokenMissing, attempt: int) -> Pause | None:
    if attempt >= MOST_ATTEMPTS:
        return None
    if isinstance(error, GraphError):
        return pause_for(error, attempt)
    return error.pause if isinstance(error, TokenMissing) else None


def _failure(error: GraphError | UnreadableToken | TokenMissing, job: SyncJob) -> dict[str, object]:
    if isinstance(error, GraphError):
        return progress.graph_failure(error)
    whose = "partner" if job.partner_id else "integration"
    if isinstance(error, UnreadableToken):
        return progress.own_failure(
            "token_unreadable",
            error_class="configuration",
            user_action="reconnect_token",
            detail=f"The {whose}'s stored token cannot be opened with the keys of this deployment.",
        )
    return progress.own_failure(
        "token_missing",
        error_class="configuration",
        user_action="reconnect_token",
        detail=f"The {whose} has no active token.",
    )
