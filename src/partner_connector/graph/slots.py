"""How many calls may be under way at once: fewer when Meta is in trouble, more when it is well.

Additive increase and multiplicative decrease, as TCP finds the width of a line nobody told it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

# Calls that were under way together fail together: that is one trouble.
_TROUBLE_COUNTS_ONCE_IN_SECONDS = 1.0


class Slots:
    """At least one call at a time and never more than `most`; who waits longest goes first."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        """`clock` counts seconds and never goes back."""
        if most < 1:
            raise ValueError("at least one call at a time")
        self._most = most
        self._clock = clock
        self._width = float(most)
        self._share = 1.0
        self._taken = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._troubled_at: float | None = None

    @property
    def limit(self) -> int:
        """Calls that may be under way at once, now."""
        return max(1, int(min(self._width, self._most * self._share)))

    @property
    def taken(self) -> int:
        """Calls that are under way."""
        return self._taken

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it for the block."""
        await self._take()
        try:
            yield
        finally:
            self._give_back()

    def went_well(self) -> None:
        """A usable answer: after as many as there are slots, there is one slot more."""
        self._width = min(self._width + 1.0 / self._width, float(self._most))
        self._let_in()

    def went_wrong(self) -> None:
        """No answer, or one in which Meta says that it is in trouble: half the slots."""
        now = self._clock()
        if (
            self._troubled_at is not None
            and now - self._troubled_at < _TROUBLE_COUNTS_ONCE_IN_SECONDS
        ):
            return
        self._troubled_at = now
        self._width = max(1.0, self._width / 2.0)

    def narrow_to(self, share: float) -> None:
        """Use no more than this share of the slots, 0 to 1; at least one is left."""
        self._share = share
        self._let_in()

    async def _take(self) -> None:
        if self._taken < self.limit:  # then nobody waits: whoever could go was let in
            self._taken += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with suppress(ValueError):
                    self._queue.remove(turn)
            else:
                # The slot was given in the very moment of the cancellation: the next one has it.
                self._give_back()
            raise

    def _give_back(self) -> None:
        self._taken -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._queue and self._taken < self.limit:
            turn = self._queue.popleft()
            if turn.cancelled():
                continue
            self._taken += 1
            turn.set_result(None)
