"""Slots of concurrent calls: fewer while Meta's servers fail, more again when calls succeed.

The number of slots follows additive increase and multiplicative decrease (AIMD), as in TCP.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

# Concurrent calls fail together: that counts as one failure.
_FAILURE_WINDOW_SECONDS = 1.0


class Slots:
    """Limit of concurrent calls, from 1 to `maximum`. Waiting calls get slots in their order."""

    def __init__(self, maximum: int, clock: Callable[[], float]) -> None:
        """Create the slots. `clock` is monotonic, in seconds. Raise `ValueError` below 1."""
        if maximum < 1:
            raise ValueError("there must be at least one slot")
        self._maximum = maximum
        self._clock = clock
        self._window = float(maximum)
        self._share = 1.0
        self._taken = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._failed_at: float | None = None

    @property
    def limit(self) -> int:
        """Number of slots at this time."""
        return max(1, int(min(self._window, self._maximum * self._share)))

    @property
    def taken(self) -> int:
        """Number of calls that hold a slot."""
        return self._taken

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it for the block."""
        await self._take()
        try:
            yield
        finally:
            self._release()

    def record_success(self) -> None:
        """Grow after a usable answer: by one slot after as many answers as there are slots."""
        self._window = min(self._window + 1.0 / self._window, float(self._maximum))
        self._wake_waiting()

    def record_failure(self) -> None:
        """Halve the slots after a missing answer or a failure at Meta; at most once a second."""
        now = self._clock()
        if self._failed_at is not None and now - self._failed_at < _FAILURE_WINDOW_SECONDS:
            return
        self._failed_at = now
        self._window = max(1.0, self._window / 2.0)

    def limit_to(self, share: float) -> None:
        """Use at most this share of the maximum, 0 to 1; at least one slot remains."""
        self._share = share
        self._wake_waiting()

    async def _take(self) -> None:
        if self._taken < self.limit:  # no call waits then: free slots wake waiting calls
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
                # The slot was assigned just before the cancellation: pass it on.
                self._release()
            raise

    def _release(self) -> None:
        self._taken -= 1
        self._wake_waiting()

    def _wake_waiting(self) -> None:
        while self._queue and self._taken < self.limit:
            turn = self._queue.popleft()
            if turn.cancelled():
                continue
            self._taken += 1
            turn.set_result(None)
