"""A clock, a store of budgets in memory, and responses that report usage."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from partner_connector.graph import Budget, GraphClient, Read, Throttled
from partner_connector.graph.budgets import merged

from .meta import reply

NOW = 1_000_000.0


class Clock:
    """Unix seconds that pass only when a test moves them."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class MemoryBudgetStore:
    """A budget store in memory. The worker's store is in the database."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.rows: dict[str, Budget] = {}
        self.loads = 0
        self.saves: list[dict[str, Budget]] = []
        self.is_unavailable = False

    async def load(self) -> dict[str, Budget]:
        self.loads += 1
        self._require_available()
        await asyncio.sleep(0)
        return {k: row for k, row in self.rows.items() if row.is_relevant_at(self.clock())}

    async def save(self, budgets: Mapping[str, Budget]) -> None:
        self._require_available()
        self.saves.append(dict(budgets))
        await asyncio.sleep(0)
        for key, budget in budgets.items():
            self.rows[key] = merged(self.rows[key], budget) if key in self.rows else budget

    def _require_available(self) -> None:
        if self.is_unavailable:
            raise ConnectionError


def app_usage_reply(percent: float) -> httpx.Response:
    """Return a successful response that reports the app's usage in percent."""
    return reply({}, x_app_usage=json.dumps({"call_count": percent}))


def use_case_header(object_id: str, percent: float, minutes: float = 0) -> str:
    """Return the text of a business use case header for one object."""
    entry = {
        "type": "ads_management",
        "call_count": percent,
        "estimated_time_to_regain_access": minutes,
    }
    return json.dumps({object_id: [entry]})


async def expect_throttled(client: GraphClient, read: Read, **options: Any) -> Throttled:
    """Make a read that must be throttled, and return its error."""
    with pytest.raises(Throttled) as caught:
        await client.reader("T", **options).get(read)
    return caught.value
