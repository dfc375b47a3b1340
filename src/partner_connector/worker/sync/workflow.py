"""A check for updates, as durable tasks.

Each step is one or a few Graph batches and one transaction; what a step has written to staging is
not read again after a crash. A step answers `go_on`, `again` (there is more of the same) or `stop`
(the job was parked, failed, or is no longer this attempt's).
"""

import uuid
from collections.abc import Awaitable, Callable

import structlog
from dbos import DBOS, DBOSConfiguredInstance

from partner_connector.durable import tasks
from partner_connector.durable.engine import INSTANCE
from partner_connector.durable.runs import traced_run
from partner_connector.worker.backoff import StepCrashed
from partner_connector.worker.context import Workshop
from partner_connector.worker.sync import integration_steps, partner_steps, progress
from partner_connector.worker.sync.stage.cleanup import clear_staging
from partner_connector.worker.sync.step_runner import AGAIN, GO_ON, STOP, run_step

# What `begin` answers where a plan was approved: nothing is to be read.
APPROVED = "approved"

StepMethod = Callable[[str, int], Awaitable[str]]

log = structlog.get_logger()


@DBOS.dbos_class(tasks.SYNC_CLASS)
class SyncWorkflows(DBOSConfiguredInstance):
    """The workflows of this room, bound to one worker's doers."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        super().__init__(INSTANCE)

    @DBOS.workflow(name=tasks.SYNC_INTEGRATION)
    async def sync_integration(self, job_id: str, attempt: int) -> None:
        """List the partners, then start a check of each connected one."""
        steps = (self.read_partners, self.read_partners, self.apply_partners)
        async with traced_run(self.shop.database, tasks.SYNC_INTEGRATION, job_id, attempt):
            await self._run(job_id, attempt, steps)

    @DBOS.workflow(name=tasks.SYNC_PARTNER)
    async def sync_partner(self, job_id: str, attempt: int) -> None:
        """Read one partner's assets, people and access, then apply them at once."""
        steps = (self.read_partner, self.read_access, self.apply_users)
        async with traced_run(self.shop.database, tasks.SYNC_PARTNER, job_id, attempt):
            await self._run(job_id, attempt, steps)

    async def _run(
        self, job_id: str, attempt: int, methods: tuple[StepMethod, StepMethod, StepMethod]
    ) -> None:
        """Begin, read, read on, apply; or apply at once what somebody approved as it was read."""
        read, read_on, apply = methods
        try:
            answer = await self.begin(job_id, attempt)
            if answer == GO_ON:
                answer = await read(job_id, attempt)
            while answer == AGAIN:
                answer = await read_on(job_id, attempt)
            if answer != STOP and await apply(job_id, attempt) != STOP:
                await self.clear_up(job_id, attempt)
        except Exception as error:
            await self.recover(job_id, attempt, str(StepCrashed.of(error)))

    @DBOS.step(name="begin")
    async def begin(self, job_id: str, attempt: int) -> str:
        """Take the job, if it is this attempt's turn."""
        async with self.shop.database.writing() as session:
            job = await progress.begin(session, uuid.UUID(job_id), attempt)
            if job is None:
                return STOP
            return GO_ON if job.approved_plan is None else APPROVED

    @DBOS.step(name="read_partners")
    async def read_partners(self, job_id: str, attempt: int) -> str:
        """Agencies and clients into staging."""
        return await run_step(self.shop, integration_steps.read_partners, job_id, attempt)

    @DBOS.step(name="apply_partners")
    async def apply_partners(self, job_id: str, attempt: int) -> str:
        """Staged businesses become partners; the connected ones are checked."""
        return await run_step(self.shop, integration_steps.apply, job_id, attempt)

    @DBOS.step(name="read_partner")
    async def read_partner(self, job_id: str, attempt: int) -> str:
        """The token's view, shares, people and most of their access, into staging."""
        return await run_step(self.shop, partner_steps.read_partner, job_id, attempt)

    @DBOS.step(name="read_access")
    async def read_access(self, job_id: str, attempt: int) -> str:
        """Who is assigned to the next assets, into staging."""
        return await run_step(self.shop, partner_steps.read_access, job_id, attempt)

    @DBOS.step(name="apply_users")
    async def apply_users(self, job_id: str, attempt: int) -> str:
        """Staging becomes partner users, in one transaction."""
        return await run_step(self.shop, partner_steps.apply, job_id, attempt)

    @DBOS.step(name="clear_up")
    async def clear_up(self, job_id: str, attempt: int) -> str:
        """What was staged has been applied; if this is cut off, the sweeper finds it."""
        await clear_staging(self.shop.database, uuid.UUID(job_id))
        return GO_ON

    # Tried for some minutes: what crashed the step, a database that is away, may last that long.
    @DBOS.step(name="recover_job", retries_allowed=True, interval_seconds=2.0, max_attempts=8)
    async def recover(self, job_id: str, attempt: int, error: str) -> str:
        """After a fault of our own: try again some times, then fail."""
        log.error("sync_job_crashed", job_id=job_id, attempt=attempt, error=error)
        async with self.shop.database.writing() as session:
            job = await progress.running_job(session, uuid.UUID(job_id), attempt)
            if job is None:
                return STOP
            await progress.retry_after_crash(session, self.shop.queue, job)
        return STOP
