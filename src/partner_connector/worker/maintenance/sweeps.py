"""Sweeps of a worker. If two workers sweep at once, each row is still changed only once."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial

from partner_connector.durable.periodic import Periodic
from partner_connector.settings import Settings
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.maintenance.audit_anchors import Anchors
from partner_connector.worker.maintenance.expiry import (
    clear_ended_staging,
    end_plans,
    forget_answers,
    forget_secrets,
)
from partner_connector.worker.maintenance.lost_runs import revive_jobs, revive_validations
from partner_connector.worker.maintenance.retention import (
    delete_old_jobs,
    delete_old_runs,
    delete_old_tokens,
    delete_old_validations,
    delete_old_webhook_events,
)

SWEEP_SECONDS = 60.0
# Old rows are deleted up to 1/24 of their retention time late, at most one hour: a search for old
# rows reads whole tables, so it runs rarely.
_RETENTION_DIVISOR = 24
_LONGEST_SECONDS = 3600.0
_SHORTEST_SECONDS = 2.0

Sweep = Callable[[WorkerContext], Awaitable[None]]

_DUE_ROW_SWEEPS: tuple[Sweep, ...] = (
    revive_jobs,
    revive_validations,
    end_plans,
    clear_ended_staging,
    forget_answers,
    forget_secrets,
)
_OLD_ROW_SWEEPS: tuple[Sweep, ...] = (
    delete_old_jobs,
    delete_old_validations,
    delete_old_tokens,
    delete_old_webhook_events,
    delete_old_runs,
)


def sweeps(context: WorkerContext) -> Iterator[Periodic]:
    """Yield two periodic tasks: sweeps of lost and overdue rows, and, less often, of old rows."""
    seconds = _pause(context.settings)
    due = [
        Periodic(each.__name__, SWEEP_SECONDS, partial(each, context)) for each in _DUE_ROW_SWEEPS
    ]
    due.append(Periodic("audit_anchors", SWEEP_SECONDS, partial(Anchors().log_heads, context)))
    old = [Periodic(each.__name__, seconds, partial(each, context)) for each in _OLD_ROW_SWEEPS]
    yield Periodic("due_rows", SWEEP_SECONDS, partial(_in_turn, due))
    yield Periodic("old_rows", seconds, partial(_in_turn, old))


async def _in_turn(one_round: Sequence[Periodic]) -> None:
    """Run the sweeps in order: the staging of a plan is cleared after the sweep that ends its job.

    A failed sweep is logged under its own name, and the others still run.
    """
    for sweep in one_round:
        await sweep.run_once()


def _pause(settings: Settings) -> float:
    shortest = timedelta(days=min(settings.retention_days, settings.engine_retention_days))
    seconds = shortest.total_seconds() / _RETENTION_DIVISOR
    return min(_LONGEST_SECONDS, max(_SHORTEST_SECONDS, seconds))
