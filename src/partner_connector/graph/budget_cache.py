"""Cache of rate-limit budgets in a process, synchronized with a store that processes share."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from partner_connector.graph.budgets import Budget, merged
from partner_connector.graph.usage import SLOW_FROM_PERCENT

logger = logging.getLogger(__name__)

PRIVATE_PREFIX = "reader:"
_REFRESH_SECONDS = 1.0
# Without a longer pause, a store that is down would delay every call by the deadline.
_REFRESH_AFTER_FAILURE_SECONDS = 10.0
_STORE_DEADLINE_SECONDS = 3.0
_MAX_BUDGETS = 1024


class BudgetStore(Protocol):
    """Store in which several processes share their budgets."""

    async def load(self) -> Mapping[str, Budget]:
        """Return every budget that matters now (`Budget.is_relevant_at`)."""
        ...

    async def save(self, budgets: Mapping[str, Budget]) -> None:
        """Merge each budget into the stored one, as `budgets.merged` does."""
        ...


class BudgetCache:
    """Budgets by key; only those that matter now, so there are few at any time.

    Saved budgets belong to the store: a budget that is deleted there is dropped here too, so an
    operator lifts a block everywhere by deleting its row. While the store is down, a process uses
    the budgets that it knows.
    """

    def __init__(self, store: BudgetStore | None, clock: Callable[[], float]) -> None:
        """Create an empty cache. `clock` returns Unix seconds. Without a store it is private."""
        self._store = store
        self._clock = clock
        self._budgets: dict[str, Budget] = {}
        self._unsaved: dict[str, Budget] = {}
        self._lock = asyncio.Lock()
        self._refresh_at = 0.0
        self._is_store_down = False
        self._saving: asyncio.Task[None] | None = None

    @property
    def budgets(self) -> Mapping[str, Budget]:
        """Budgets that matter now, by key."""
        return self._budgets

    def record(self, key: str, budget: Budget) -> None:
        """Replace a budget by the one from an answer.

        A new slow-down or block is saved at once in the background, so that no call waits for the
        store and no transaction waits for a call.
        """
        before, now = self._budgets.get(key), self._clock()
        if budget.is_relevant_at(now):
            self._budgets[key] = budget
        elif self._budgets.pop(key, None) is None:
            return
        self._limit_size(now)
        if self._store is None or key.startswith(PRIVATE_PREFIX):
            return
        if before is None or _affects_calls(before, budget):
            self._unsaved[key] = budget
            self._start_saving()
        elif max(before.percent, budget.percent) >= SLOW_FROM_PERCENT:
            # A small change of the percentage is saved with the next refresh.
            self._unsaved[key] = budget

    async def refresh(self) -> None:
        """Synchronize with the store if a second has passed, or 10 s after a failure.

        Never raises. Each access to the store is given up after 3 s.
        """
        if self._is_fresh():
            return
        async with self._lock:
            if not self._is_fresh():
                await self._synchronize()

    async def settle(self) -> None:
        """Wait until the save in the background has ended."""
        if self._saving is not None:
            await self._saving

    def _is_fresh(self) -> bool:
        if self._store is None:
            return True
        wait = self._refresh_at - self._clock()
        # A longer wait means that the clock was set back.
        return 0.0 < wait <= _REFRESH_AFTER_FAILURE_SECONDS

    async def _synchronize(self) -> None:
        assert self._store is not None
        try:
            async with asyncio.timeout(_STORE_DEADLINE_SECONDS):
                await self._save()
                stored = await self._store.load()
        except Exception as error:
            self._record_failure(error)
            return
        self._is_store_down = False
        self._refresh_at = self._clock() + _REFRESH_SECONDS
        self._merge(stored)

    def _merge(self, stored: Mapping[str, Budget]) -> None:
        """Use the stored budgets, merged with those that are private or not saved yet."""
        now = self._clock()
        unshared = {
            key: budget
            for key, budget in self._budgets.items()
            if key in self._unsaved or key.startswith(PRIVATE_PREFIX)
        }
        budgets = dict(stored)
        for key, budget in (unshared | self._unsaved).items():
            budgets[key] = merged(budgets[key], budget) if key in budgets else budget
        self._budgets = {
            key: budget for key, budget in budgets.items() if budget.is_relevant_at(now)
        }

    async def _save(self) -> None:
        assert self._store is not None
        saving, self._unsaved = self._unsaved, {}
        if not saving:
            return
        try:
            await self._store.save(saving)
        except BaseException:
            self._unsaved = saving | self._unsaved
            raise

    def _start_saving(self) -> None:
        if self._saving is None or self._saving.done():
            self._saving = asyncio.get_running_loop().create_task(self._save_all())

    async def _save_all(self) -> None:
        async with self._lock:
            try:
                while self._unsaved:
                    async with asyncio.timeout(_STORE_DEADLINE_SECONDS):
                        await self._save()
            except Exception as error:
                self._record_failure(error)

    def _record_failure(self, error: Exception) -> None:
        self._refresh_at = self._clock() + _REFRESH_AFTER_FAILURE_SECONDS
        if not self._is_store_down:
            self._is_store_down = True
            logger.warning("graph_budgets_not_shared", extra={"error": type(error).__name__})

    def _limit_size(self, now: float) -> None:
        """Drop the oldest budgets: a process may read many ad accounts."""
        if len(self._budgets) > _MAX_BUDGETS:
            self._budgets = _newest(self._budgets, now)
        if len(self._unsaved) > _MAX_BUDGETS:
            self._unsaved = _newest(self._unsaved, now)


def _affects_calls(before: Budget, budget: Budget) -> bool:
    was_slow, is_slow = (each.percent >= SLOW_FROM_PERCENT for each in (before, budget))
    return was_slow != is_slow or before.blocked_until != budget.blocked_until


def _newest(budgets: Mapping[str, Budget], now: float) -> dict[str, Budget]:
    relevant = [key for key, budget in budgets.items() if budget.is_relevant_at(now)]
    # A block counts as new until its end: if it were dropped, Meta would refuse calls again.
    relevant.sort(key=lambda key: max(budgets[key].seen_at, budgets[key].blocked_until or 0.0))
    return {key: budgets[key] for key in relevant[-_MAX_BUDGETS:]}
