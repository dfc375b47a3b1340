"""Sweeps of a worker. Two workers that sweep at once find the same and change it once."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial

from partner_connector.durable.periodic import Periodic
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

_OF_DUE_ROWS: tuple[Sweep, ...] = (
    revive_jobs,
    revive_validations,
    end_plans,
    clear_leftovers,
    forget_answers,
    forget_secrets,
)
_OF_OLD_ROWS: tuple[Sweep, ...] = (
    delete_old_jobs,
    delete_old_proofs,
    delete_old_tokens,
    delete_old_webhook_events,
    delete_old_runs,
)


def sweeps(shop: Workshop) -> Iterator[Periodic]:
    """Yield the two rounds of sweeps: once a minute of lost and overdue rows, more rarely of old
    ones.
    """
    seconds = _pause(shop.settings)
    due = [Periodic(each.__name__, SWEEP_SECONDS, partial(each, shop)) for each in _OF_DUE_ROWS]
    due.append(Periodic("audit_anchors", SWEEP_SECONDS, partial(Anchors().tell, shop)))
    old = [Periodic(each.__name__, seconds, partial(each, shop)) for each in _OF_OLD_ROWS]
    yield Periodic("due_rows", SWEEP_SECONDS, partial(_in_turn, due))
    yield Periodic("old_rows", seconds, partial(_in_turn, old))


async def _in_turn(one_round: Sequence[Periodic]) -> None:
    """Run one sweep after the other: what a plan had staged is cleared once its job has ended.

    A sweep that fails is logged by its own name, and the others run.
    """
    for sweep in one_round:
        await sweep.run_once()


def _pause(settings: Settings) -> float:
    shortest = timedelta(days=min(settings.retention_days, settings.engine_retention_days))
    seconds = shortest.total_seconds() / _PART_OF_RETENTION
    return min(_LONGEST_SECONDS, max(_SHORTEST_SECONDS, seconds))
