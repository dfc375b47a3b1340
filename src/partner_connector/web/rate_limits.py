"""How many requests a key may make, told in every answer.

A moving window in this process's memory: with several API processes each allows its share.
"""

import math
import time

from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from partner_connector.errors import RateLimited


class RateLimiter:
    """`limit` is `N/second`, `N/minute`, `N/hour` or `off`."""

    def __init__(self, limit: str) -> None:
        self._limit = None if limit == "off" else parse(limit)
        self._window = MovingWindowRateLimiter(MemoryStorage())

    async def spend(self, who: str) -> dict[str, str]:
        """Count one request and return the headers to answer with. Raises `RateLimited`."""
        if self._limit is None:
            return {}
        allowed = await self._window.hit(self._limit, who)
        stats = await self._window.get_window_stats(self._limit, who)
        seconds = max(1, math.ceil(stats.reset_time - time.time()))
        headers = {
            "RateLimit-Policy": f'"default";q={self._limit.amount};w={self._limit.get_expiry()}',
            "RateLimit": f'"default";r={stats.remaining};t={seconds}',
        }
        if not allowed:
            raise RateLimited(retry_after=seconds, headers=headers)
        return headers
