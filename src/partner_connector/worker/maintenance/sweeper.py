"""When to sweep. Two workers that sweep at once find the same and change it once."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from partner_connector.settings import Settings
from partner_connector.worker.context import Workshop
from partner_connector.worker.maintenance.audit_anchors import Anchors
from partner_connector.worker.maintenance.expiry import (
    clear_leftovers,
    end_plans,
    forget_answers,
    forget_secrets,
)
from partner_connector.worker.maintenance.lost_runs import revive_jobs, revive_validations
from partner_connector.worker.maintenance.retention import (
    delete_old_jobs,
    delete_old_proofs,
    delete_old_runs,
    delete_old_tokens,
    delete_old_webhook_events,
)

SWEEP_SECONDS = 60.0
# Of the time that something is kept, this part more may pass until it is deleted, and never more
# than an hour: what is kept for long is looked through as a whole.
_PART_OF_RETENTION = 24
_LONGEST_SECONDS = 3600.0
_SHORTEST_SECONDS = 2.0

Sweep = Callable[[Workshop], Awaitable[None]]

OLD: tuple[Sweep, ...] = (
    delete_old_jobs,
    delete_old_proofs,
    delete_old_tokens,
    delete_old_webhook_events,
    delete_old_runs,
)

log = structlog.get_logger()


class Sweeper:
    """One worker's."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop

    async def watch_what_is_due(self) -> None:
        """Sweep once a minute what is lost or overdue, until cancelled."""
        sweeps = (
            revive_jobs,
            revive_validations,
            end_plans,
            clear_leftovers,
            forget_answers,
            forget_secrets,
            Anchors().tell,
        )
        await self._watch(sweeps, SWEEP_SECONDS)

    async def watch_what_is_old(self) -> None:
        """Delete what was kept for long enough, until cancelled."""
        await self._watch(OLD, _pause(self.shop.settings))

    async def _watch(self, sweeps: tuple[Sweep, ...], seconds: float) -> None:
        while True:
            for sweep in sweeps:
                try:
                    await sweep(self.shop)
                except Exception as error:
                    log.warning("sweep_failed", sweep=sweep.__name__, error=type(error).__name__)
            await asyncio.sleep(seconds)


def _pause(settings: Settings) -> float:
    shortest = timedelta(days=min(settings.retention_days, settings.engine_retention_days))
    seconds = shortest.total_seconds() / _PART_OF_RETENTION
    return min(_LONGEST_SECONDS, max(_SHORTEST_SECONDS, seconds))
