"""Durable workflows of sync jobs.

A step that reads sends a few Graph batches and stores the answers in short transactions. After a
crash, assets whose users are already in staging are not read again. A step returns `go_on`, `again`
(there is more to read) or `stop` (the job was parked, failed, or has a newer attempt).
"""

import uuid
from collections.abc import Awaitable, Callable

import structlog
from dbos import DBOS, DBOSConfiguredInstance

from partner_connector.durable import tasks
from partner_connector.durable.engine import INSTANCE
from partner_connector.durable.runs import traced_run
from partner_connector.worker.backoff import StepCrashed
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.sync import integration_steps, partner_steps, progress
from partner_connector.worker.sync.stage.cleanup import clear_staging
from partner_connector.worker.sync.step_runner import AGAIN, GO_ON, STOP, run_step

# Answer of `begin` for an approved plan: nothing is read.
APPROVED = "approved"

StepMethod = Callable[[str, int], Awaitable[str]]

log = structlog.get_logger()


@DBOS.dbos_class(tasks.SYNC_CLASS)
class SyncWorkflows(DBOSConfiguredInstance):
    """Workflows of sync jobs, bound to one worker process's context."""

    def __init__(self, context: WorkerContext) -> None:
        self.context = context
        super().__init__(INSTANCE)

    @DBOS.workflow(name=tasks.SYNC_INTEGRATION)
    async def sync_integration(self, job_id: str, attempt: int) -> None:
        """List the partners, then start a sync job for each connected partner."""
        steps = (self.read_partners, self.read_partners, self.apply_partners)
        async with traced_run(self.context.database, tasks.SYNC_INTEGRATION, job_id, attempt):
            await self._run(job_id, attempt, steps)

    @DBOS.workflow(name=tasks.SYNC_PARTNER)
    async def sync_partner(self, job_id: str, attempt: int) -> None:
        """Read one partner's assets, people and access, then apply them at once."""
        steps = (self.read_partner, self.read_access, self.apply_users)
        async with traced_run(self.context.database, tasks.SYNC_PARTNER, job_id, attempt):
            await self._run(job_id, attempt, steps)

    async def _run(
        self, job_id: str, attempt: int, methods: tuple[StepMethod, StepMethod, StepMethod]
    ) -> None:
        """Begin, read until nothing is left, and apply; or only apply an approved plan."""
        read, read_more, apply = methods
        try:
            answer = await self.begin(job_id, attempt)
            if answer == GO_ON:
                answer = await read(job_id, attempt)
            while answer == AGAIN:
                answer = await read_more(job_id, attempt)
            if answer != STOP and await apply(job_id, attempt) != STOP:
                await self.clear_up(job_id, attempt)
        except Exception as error:
            await self.recover(job_id, attempt, str(StepCrashed.of(error)))

    @DBOS.step(name="begin")
    async def begin(self, job_id: str, attempt: int) -> str:
        """Start the job's attempt, unless the attempt is over."""
        async with self.context.database.writing() as session:
            job = await progress.begin(session, uuid.UUID(job_id), attempt)
            if job is None:
                return STOP
            return GO_ON if job.approved_plan is None else APPROVED

    @DBOS.step(name="read_partners")
    async def read_partners(self, job_id: str, attempt: int) -> str:
        """Read agencies and clients into staging."""
        return await run_step(self.context, integration_steps.read_partners, job_id, attempt)

    @DBOS.step(name="apply_partners")
    async def apply_partners(self, job_id: str, attempt: int) -> str:
        """Apply staged businesses to partners, and start a job for each connected partner."""
        return await run_step(self.context, integration_steps.apply, job_id, attempt)

    @DBOS.step(name="read_partner")
    async def read_partner(self, job_id: str, attempt: int) -> str:
        """Read the token's permissions, shares, people and the first access into staging."""
        return await run_step(self.context, partner_steps.read_partner, job_id, attempt)

    @DBOS.step(name="read_access")
    async def read_access(self, job_id: str, attempt: int) -> str:
        """Read the users of the next assets into staging."""
        return await run_step(self.context, partner_steps.read_access, job_id, attempt)

    @DBOS.step(name="apply_users")
    async def apply_users(self, job_id: str, attempt: int) -> str:
        """Apply staging to partner users, in one transaction."""
        return await run_step(self.context, partner_steps.apply, job_id, attempt)

    @DBOS.step(name="clear_up")
    async def clear_up(self, job_id: str, attempt: int) -> str:
        """Delete the applied staging rows; a periodic task does it after an interruption."""
        await clear_staging(self.context.database, uuid.UUID(job_id))
        return GO_ON

    # Retried for some minutes: an unreachable database may have crashed the step.
    @DBOS.step(name="recover_job", retries_allowed=True, interval_seconds=2.0, max_attempts=8)
    async def recover(self, job_id: str, attempt: int, error: str) -> str:
        """Retry the job after an internal error; fail it after too many crashes."""
        log.error("sync_job_crashed", job_id=job_id, attempt=attempt, error=error)
        async with self.context.database.writing() as session:
            job = await progress.running_job(session, uuid.UUID(job_id), attempt)
            if job is None:
                return STOP
            await progress.retry_after_crash(session, self.context.queue, job)
        return STOP
