"""Rate limits with a moving window."""

import asyncio

import pytest

from partner_connector.errors import RateLimited
from partner_connector.web.rate_limits import RateLimiter


async def test_allowance_counts_down_then_refuses() -> None:
    """Check that each request returns the remaining allowance, a refusal the seconds to wait."""
    limiter = RateLimiter("2/minute")
    first, second = await limiter.count_request("a"), await limiter.count_request("a")
    assert first["RateLimit-Policy"] == '"default";q=2;w=60'
    assert first["RateLimit"].startswith('"default";r=1;t=')
    assert second["RateLimit"].startswith('"default";r=0;t=')
    with pytest.raises(RateLimited) as caught:
        await limiter.count_request("a")
    assert caught.value.retry_after is not None
    assert 1 <= caught.value.retry_after <= 60
    assert caught.value.headers["RateLimit"].startswith('"default";r=0;t=')


async def test_each_caller_has_own_window() -> None:
    """Check that a caller is not refused because of the requests of another."""
    limiter = RateLimiter("1/hour")
    await limiter.count_request("a")
    assert await limiter.count_request("b")


async def test_requests_are_allowed_after_wait() -> None:
    limiter = RateLimiter("1/second")
    await limiter.count_request("a")
    with pytest.raises(RateLimited) as caught:
        await limiter.count_request("a")
    assert caught.value.retry_after is not None
    await asyncio.sleep(caught.value.retry_after + 0.1)
    assert await limiter.count_request("a")


async def test_off_allows_every_request() -> None:
    """Check that `off` allows every request and returns no headers."""
    limiter = RateLimiter("off")
    assert [await limiter.count_request("a") for _ in range(50)] == [{}] * 50


async def test_concurrent_requests_do_not_exceed_allowance() -> None:
    limiter = RateLimiter("10/hour")
    answers = await asyncio.gather(
        *(limiter.count_request("a") for _ in range(50)), return_exceptions=True
    )
    assert sum(isinstance(answer, dict) for answer in answers) == 10
