"""Helpers for concurrent reads."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


async def gather_all(work: Iterable[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Run all coroutines to their end and return their results in order.

    Raises the first error, after all coroutines have ended.
    """
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes


async def iterate_completed(
    work: Iterator[Coroutine[Any, Any, T]], at_once: int
) -> AsyncIterator[T]:
    """Yield results in order of completion, with at most `at_once` coroutines running."""
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


async def prefetch_pages(pages: AsyncIterator[T]) -> AsyncIterator[T]:
    """Yield the pages; fetch the next page while the caller handles the current one."""
    upcoming = asyncio.ensure_future(anext(pages, None))
    try:
        while (page := await upcoming) is not None:
            upcoming = asyncio.ensure_future(anext(pages, None))
            yield page
    finally:
        upcoming.cancel()
