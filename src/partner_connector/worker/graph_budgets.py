"""The budgets of the Graph client in our database, where all workers share them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Delete, and_, case, delete, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import GraphBudget
from partner_connector.db.sql import clean, upsert
from partner_connector.graph import Budget
from partner_connector.graph.budgets import LONGEST_BLOCK_SECONDS, WINDOW_SECONDS
from partner_connector.graph.usage import SLOW_FROM_PERCENT

_KEPT_FOR = timedelta(days=1)
# Workers' clocks agree within seconds. What was written by one that runs ahead would hold for as
# long as it does, so it counts as not written.
_MOST_AHEAD = timedelta(minutes=1)
_KEY_LENGTH = 200


class DatabaseBudgets:
    """A `BudgetStore`. Each call is one short transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> dict[str, Budget]:
        """Every budget that matters now, by key."""
        at = now()
        window = at - timedelta(seconds=WINDOW_SECONDS)
        nearly_used = and_(GraphBudget.seen_at > window, GraphBudget.percent >= SLOW_FROM_PERCENT)
        query = (
            select(GraphBudget)
            .where(or_(nearly_used, GraphBudget.blocked_until > window))
            .where(GraphBudget.seen_at <= at + _MOST_AHEAD, _is_possible(at))
        )
        async with self._database.reading() as session:
            return {row.key: _budget(row) for row in await session.scalars(query)}

    async def save(self, budgets: Mapping[str, Budget]) -> None:
        """Merge these with what others have stored, and forget what is a day old."""
        rows = {row["key"]: row for row in map(_row, budgets, budgets.values())}
        # In one order everywhere: two workers that lock the same rows do not wait for each other.
        ordered = [rows[key] for key in sorted(rows)]
        async with self._database.writing() as session:
            if ordered:
                await _merge(session, ordered)
            await session.execute(_forget_the_old())


def _is_possible(at: datetime) -> ColumnElement[bool]:
    """No block is longer than the longest."""
    latest = at + timedelta(seconds=LONGEST_BLOCK_SECONDS) + _MOST_AHEAD
    return or_(GraphBudget.blocked_until.is_(None), GraphBudget.blocked_until <= latest)


def _forget_the_old() -> Delete:
    long_ago = now() - _KEPT_FOR
    is_free = or_(GraphBudget.blocked_until.is_(None), GraphBudget.blocked_until < long_ago)
    return delete(GraphBudget).where(GraphBudget.seen_at < long_ago, is_free)


async def _merge(session: AsyncSession, rows: list[dict[str, Any]]) -> None:
    """`graph.budgets.merged`, by the database: the newest report, and the longest block."""
    statement = upsert(session, GraphBudget).values(rows)
    theirs, at = statement.excluded, now()
    is_from_ahead = or_(GraphBudget.seen_at > at + _MOST_AHEAD, not_(_is_possible(at)))
    is_newer = or_(is_from_ahead, theirs.seen_at >= GraphBudget.seen_at)
    is_longer = and_(
        theirs.blocked_until.is_not(None),
        or_(
            GraphBudget.blocked_until.is_(None),
            theirs.blocked_until > GraphBudget.blocked_until,
        ),
    )
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["key"],
            set_={
                "percent": case((is_newer, theirs.percent), else_=GraphBudget.percent),
                "seen_at": case((is_newer, theirs.seen_at), else_=GraphBudget.seen_at),
                "blocked_until": case(
                    (or_(is_from_ahead, is_longer), theirs.blocked_until),
                    else_=GraphBudget.blocked_until,
                ),
                "blocks": case(
                    (or_(is_from_ahead, is_longer), theirs.blocks), else_=GraphBudget.blocks
                ),
            },
        )
    )


def _row(key: str, budget: Budget) -> dict[str, Any]:
    return {
        "key": clean(key, _KEY_LENGTH),
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
