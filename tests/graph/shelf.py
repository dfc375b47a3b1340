"""A clock, a store of budgets in memory, and answers that report how much is used."""

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
    """Unix seconds that pass when told."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Shelf:
    """A store in memory, as the worker's is in the database."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.rows: dict[str, Budget] = {}
        self.loads = 0
        self.saves: list[dict[str, Budget]] = []
        self.is_away = False

    async def load(self) -> dict[str, Budget]:
        self.loads += 1
        self._be_there()
        await asyncio.sleep(0)
        return {k: row for k, row in self.rows.items() if row.matters_at(self.clock())}

    async def save(self, budgets: Mapping[str, Budget]) -> None:
        self._be_there()
        self.saves.append(dict(budgets))
        await asyncio.sleep(0)
        for key, budget in budgets.items():
            self.rows[key] = merged(self.rows[key], budget) if key in self.rows else budget

    def _be_there(self) -> None:
        if self.is_away:
            raise ConnectionError


def with_app_at(percent: float) -> httpx.Response:
    """A good answer that reports the app's use."""
    return reply({}, x_app_usage=json.dumps({"call_count": percent}))


def use_case(object_id: str, percent: float, minutes: float = 0) -> str:
    entry = {
        "type": "ads_management",
        "call_count": percent,
        "estimated_time_to_regain_access": minutes,
    }
    return json.dumps({object_id: [entry]})


async def refused(client: GraphClient, read: Read, **options: Any) -> Throttled:
    """The error of a read that must not get through."""
    with pytest.raises(Throttled) as caught:
        await client.reader("T", **options).get(read)
    return caught.value
