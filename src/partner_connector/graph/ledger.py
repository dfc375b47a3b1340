"""The budgets that a process knows, kept in step with those that all processes share."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from partner_connector.graph.budgets import Budget, merged
from partner_connector.graph.usage import SLOW_FROM_PERCENT

logger = logging.getLogger(__name__)

PRIVATE_PREFIX = "reader:"
_LOOK_AGAIN_AFTER_SECONDS = 1.0
# A store that is away would hold back every call by as long as it takes to notice.
_LOOK_AGAIN_AFTER_FAILURE_SECONDS = 10.0
_STORE_DEADLINE_SECONDS = 3.0
_REMEMBERED = 1024


class BudgetStore(Protocol):
    """Where several processes share their budgets."""

    async def load(self) -> Mapping[str, Budget]:
        """Every budget that matters now (`Budget.matters_at`)."""
        ...

    async def save(self, budgets: Mapping[str, Budget]) -> None:
        """Merge these into what is stored, each as `budgets.merged` does."""
        ...


class Ledger:
    """Budgets by key. It holds only those that matter, so there are few at any time.

    What was saved belongs to the store: a budget that is no longer there is forgotten here too,
    so a block is lifted everywhere by deleting it. While the store is away a process goes on with
    what it knows itself.
    """

    def __init__(self, store: BudgetStore | None, clock: Callable[[], float]) -> None:
        """`clock` tells unix seconds."""
        self._store = store
        self._clock = clock
        self._budgets: dict[str, Budget] = {}
        self._unsaved: dict[str, Budget] = {}
        self._lock = asyncio.Lock()
        self._look_again_at = 0.0
        self._is_away = False
        self._saving: asyncio.Task[None] | None = None

    @property
    def budgets(self) -> Mapping[str, Budget]:
        """What matters now, by key."""
        return self._budgets

    def note(self, key: str, budget: Budget) -> None:
        """Take over what an answer told. What others must know at once is saved in the background:
        no answer waits for the store, and no transaction for an answer.
        """
        before, now = self._budgets.get(key), self._clock()
        if budget.matters_at(now):
            self._budgets[key] = budget
        elif self._budgets.pop(key, None) is None:
            return
        self._drop_what_is_too_much(now)
        if self._store is None or key.startswith(PRIVATE_PREFIX):
            return
        if before is None or _is_news(before, budget):
            self._unsaved[key] = budget
            self._save_soon()
        elif max(before.percent, budget.percent) >= SLOW_FROM_PERCENT:
            # A step more or less: it goes along when the store is asked the next time.
            self._unsaved[key] = budget

    async def look(self) -> None:
        """Be at most a second behind the other processes. Never fails and is bounded in time."""
        if self._is_fresh():
            return
        async with self._lock:
            if not self._is_fresh():
                await self._exchange()

    async def settle(self) -> None:
        """Wait until what is being saved is saved."""
        if self._saving is not None:
            await self._saving

    def _is_fresh(self) -> bool:
        if self._store is None:
            return True
        wait = self._look_again_at - self._clock()
        # More than that: the clock was set back.
        return 0.0 < wait <= _LOOK_AGAIN_AFTER_FAILURE_SECONDS

    async def _exchange(self) -> None:
        assert self._store is not None
        try:
            async with asyncio.timeout(_STORE_DEADLINE_SECONDS):
                await self._save()
                stored = await self._store.load()
        except Exception as error:
            self._note_failure(error)
            return
        self._is_away = False
        self._look_again_at = self._clock() + _LOOK_AGAIN_AFTER_SECONDS
        self._adopt(stored)

    def _adopt(self, stored: Mapping[str, Budget]) -> None:
        """The store's word, with what was heard while it was asked."""
        now = self._clock()
        ours = {
            key: budget
            for key, budget in self._budgets.items()
            if key in self._unsaved or key.startswith(PRIVATE_PREFIX)
        }
        both = dict(stored)
        for key, budget in (ours | self._unsaved).items():
            both[key] = merged(both[key], budget) if key in both else budget
        self._budgets = {key: budget for key, budget in both.items() if budget.matters_at(now)}

    async def _save(self) -> None:
        assert self._store is not None
        taken, self._unsaved = self._unsaved, {}
        if not taken:
            return
        try:
            await self._store.save(taken)
        except BaseException:
            self._unsaved = taken | self._unsaved
            raise

    def _save_soon(self) -> None:
        if self._saving is None or self._saving.done():
            self._saving = asyncio.get_running_loop().create_task(self._save_now())

    async def _save_now(self) -> None:
        async with self._lock:
            try:
                while self._unsaved:
                    async with asyncio.timeout(_STORE_DEADLINE_SECONDS):
                        await self._save()
            except Exception as error:
                self._note_failure(error)

    def _note_failure(self, error: Exception) -> None:
        self._look_again_at = self._clock() + _LOOK_AGAIN_AFTER_FAILURE_SECONDS
        if not self._is_away:
            self._is_away = True
            logger.warning("graph_budgets_not_shared", extra={"error": type(error).__name__})

    def _drop_what_is_too_much(self, now: float) -> None:
        """A process that meets many ad accounts does not grow for ever."""
        if len(self._budgets) > _REMEMBERED:
            self._budgets = _newest(self._budgets, now)
        if len(self._unsaved) > _REMEMBERED:
            self._unsaved = _newest(self._unsaved, now)


def _is_news(before: Budget, budget: Budget) -> bool:
    was_slow, is_slow = (each.percent >= SLOW_FROM_PERCENT for each in (before, budget))
    return was_slow != is_slow or before.blocked_until != budget.blocked_until


def _newest(budgets: Mapping[str, Budget], now: float) -> dict[str, Budget]:
    alive = [key for key, budget in budgets.items() if budget.matters_at(now)]
    # A block is as new as its end: dropped, it would be run into again.
    alive.sort(key=lambda key: max(budgets[key].seen_at, budgets[key].blocked_until or 0.0))
    return {key: budgets[key] for key in alive[-_REMEMBERED:]}
