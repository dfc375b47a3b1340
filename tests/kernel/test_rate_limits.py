"""The moving window."""

import asyncio

import pytest

from partner_connector.errors import RateLimited
from partner_connector.web.rate_limits import RateLimiter


async def test_it_counts_down_and_refuses() -> None:
    """The allowance is told with each request; beyond it the wait is told."""
    limiter = RateLimiter("2/minute")
    first, second = await limiter.spend("a"), await limiter.spend("a")
    assert first["RateLimit-Policy"] == '"default";q=2;w=60'
    assert first["RateLimit"].startswith('"default";r=1;t=')
    assert second["RateLimit"].startswith('"default";r=0;t=')
    with pytest.raises(RateLimited) as caught:
        await limiter.spend("a")
    assert caught.value.retry_after is not None
    assert 1 <= caught.value.retry_after <= 60
    assert caught.value.headers["RateLimit"].startswith('"default";r=0;t=')


async def test_each_has_its_own_window() -> None:
    """Who spends nothing is not refused for another."""
    limiter = RateLimiter("1/hour")
    await limiter.spend("a")
    assert await limiter.spend("b")


async def test_a_window_ends() -> None:
    """After the wait that was told, requests are allowed again."""
    limiter = RateLimiter("1/second")
    await limiter.spend("a")
    with pytest.raises(RateLimited) as caught:
        await limiter.spend("a")
    assert caught.value.retry_after is not None
    await asyncio.sleep(caught.value.retry_after + 0.1)
    assert await limiter.spend("a")


async def test_off() -> None:
    """`off` allows everything and says nothing about it."""
    limiter = RateLimiter("off")
    assert [await limiter.spend("a") for _ in range(50)] == [{}] * 50


async def test_requests_at_once_are_counted_one_by_one() -> None:
    """Of many requests at the same moment exactly the allowance passes."""
    limiter = RateLimiter("10/hour")
    answers = await asyncio.gather(*(limiter.spend("a") for _ in range(50)), return_exceptions=True)
    assert sum(isinstance(answer, dict) for answer in answers) == 10
