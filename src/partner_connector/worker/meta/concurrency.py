"""Reads side by side: the network is waited for once, not once for each."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


async def all_of(work: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    """What each answers, once all have come to their own end; then the first failure is raised."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes


async def as_they_come(work: Iterator[Coroutine[Any, Any, T]], at_once: int) -> AsyncIterator[T]:
    """What each answers, the first one first; no more than so many are under way."""
    running: set[asyncio.Task[T]] = set()
    try:
        while True:
            while len(running) < at_once and (more := next(work, None)) is not None:
                running.add(asyncio.create_task(more))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            while done:
                yield done.pop().result()
    finally:
        for task in running:
            task.cancel()


async def one_ahead(pages: AsyncIterator[T]) -> AsyncIterator[T]:
    """The same pages, each asked for while the one before is dealt with."""
    upcoming = asyncio.ensure_future(anext(pages, None))
    try:
        while (page := await upcoming) is not None:
            upcoming = asyncio.ensure_future(anext(pages, None))
            yield page
    finally:
        upcoming.cancel()
