"""Rate-limit budgets of the Graph client, stored in the database so that all workers share them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Delete, and_, case, delete, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import GraphBudget
from partner_connector.db.sql import storable_text, upsert
from partner_connector.graph import Budget
from partner_connector.graph.budgets import LONGEST_BLOCK_SECONDS, WINDOW_SECONDS
from partner_connector.graph.usage import SLOW_FROM_PERCENT

_KEPT_FOR = timedelta(days=1)
# Workers' clocks agree within seconds. A row from a worker whose clock runs ahead would stay valid
# for too long, so such a row is ignored.
_MAX_CLOCK_SKEW = timedelta(minutes=1)
_KEY_LENGTH = 200


class DatabaseBudgets:
    """`BudgetStore` in the database. Each call is one short transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> dict[str, Budget]:
        """Return, by key, the budgets that were blocked or nearly used up within the last hour."""
        at = now()
        window = at - timedelta(seconds=WINDOW_SECONDS)
        nearly_used = and_(GraphBudget.seen_at > window, GraphBudget.percent >= SLOW_FROM_PERCENT)
        query = (
            select(GraphBudget)
            .where(or_(nearly_used, GraphBudget.blocked_until > window))
            .where(GraphBudget.seen_at <= at + _MAX_CLOCK_SKEW, _is_possible(at))
        )
        async with self._database.reading() as session:
            return {row.key: _budget(row) for row in await session.scalars(query)}

    async def save(self, budgets: Mapping[str, Budget]) -> None:
        """Merge these budgets with the stored ones, and delete free budgets older than a day."""
        rows = {row["key"]: row for row in map(_row, budgets, budgets.values())}
        # All workers lock rows in the same order, which prevents deadlocks.
        ordered = [rows[key] for key in sorted(rows)]
        async with self._database.writing() as session:
            if ordered:
                await _merge(session, ordered)
            await session.execute(_delete_old())


def _is_possible(at: datetime) -> ColumnElement[bool]:
    """Return the condition that a block is not longer than the longest possible one."""
    latest = at + timedelta(seconds=LONGEST_BLOCK_SECONDS) + _MAX_CLOCK_SKEW
    return or_(GraphBudget.blocked_until.is_(None), GraphBudget.blocked_until <= latest)


def _delete_old() -> Delete:
    long_ago = now() - _KEPT_FOR
    is_free = or_(GraphBudget.blocked_until.is_(None), GraphBudget.blocked_until < long_ago)
    return delete(GraphBudget).where(GraphBudget.seen_at < long_ago, is_free)


async def _merge(session: AsyncSession, rows: list[dict[str, Any]]) -> None:
    """Keep the newest usage and the longest block of each key: `graph.budgets.merged`, in SQL."""
    statement = upsert(session, GraphBudget).values(rows)
    new, at = statement.excluded, now()
    is_from_the_future = or_(GraphBudget.seen_at > at + _MAX_CLOCK_SKEW, not_(_is_possible(at)))
    is_newer = or_(is_from_the_future, new.seen_at >= GraphBudget.seen_at)
    is_longer = and_(
        new.blocked_until.is_not(None),
        or_(
            GraphBudget.blocked_until.is_(None),
            new.blocked_until > GraphBudget.blocked_until,
        ),
    )
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["key"],
            set_={
                "percent": case((is_newer, new.percent), else_=GraphBudget.percent),
                "seen_at": case((is_newer, new.seen_at), else_=GraphBudget.seen_at),
                "blocked_until": case(
                    (or_(is_from_the_future, is_longer), new.blocked_until),
                    else_=GraphBudget.blocked_until,
                ),
                "blocks": case(
                    (or_(is_from_the_future, is_longer), new.blocks), else_=GraphBudget.blocks
                ),
            },
        )
    )


def _row(key: str, budget: Budget) -> dict[str, Any]:
    return {
        "key": storable_text(key, _KEY_LENGTH),
        "percent": budget.percent,
        "seen_at": datetime.fromtimestamp(budget.seen_at, UTC),
        "blocked_until": (
            datetime.fromtimestamp(budget.blocked_until, UTC) if budget.blocked_until else None
        ),
        "blocks": budget.blocks,
    }


def _budget(row: GraphBudget) -> Budget:
    return Budget(
        percent=row.percent,
        seen_at=row.seen_at.timestamp(),
        blocked_until=row.blocked_until.timestamp() if row.blocked_until else None,
        blocks=row.blocks,
    )
