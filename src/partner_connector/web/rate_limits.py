"""The rate limit of an API key, with the headers that report it.

The limit is a moving window in the memory of one process. Each API process counts separately.
"""

import math
import time

from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from partner_connector.errors import RateLimited


class RateLimiter:
    """Rate limiter. `limit` is `N/second`, `N/minute`, `N/hour` or `off`."""

    def __init__(self, limit: str) -> None:
        self._limit = None if limit == "off" else parse(limit)
        self._window = MovingWindowRateLimiter(MemoryStorage())

    async def count_request(self, caller_id: str) -> dict[str, str]:
        """Count one request and return the headers for its response. Raises `RateLimited`."""
        if self._limit is None:
            return {}
        allowed = await self._window.hit(self._limit, caller_id)
        stats = await self._window.get_window_stats(self._limit, caller_id)
        seconds = max(1, math.ceil(stats.reset_time - time.time()))
        headers = {
            "RateLimit-Policy": f'"default";q={self._limit.amount};w={self._limit.get_expiry()}',
            "RateLimit": f'"default";r={stats.remaining};t={seconds}',
        }
        if not allowed:
            raise RateLimited(retry_after=seconds, headers=headers)
        return headers
