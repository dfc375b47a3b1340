"""Paging: the end of a list, cursors, restarts and page sizes."""

from typing import Any

import httpx
import pytest

from partner_connector.graph import (
    CursorExpired,
    InvalidRequest,
    Page,
    Read,
    TooMuchData,
    UnknownGraphError,
    edges,
    nested_page,
    page_from,
)

from .meta import TOKEN, Meta, error, reply

AGENCIES = edges.agencies("1")
CURSOR_DEAD = error(2642, "(#2642) Invalid cursors values")
TOO_MUCH = error(1, "Please reduce the amount of data you're asking for", 500)


def page(*ids: str, after: str | None = None, more: bool = False, **extra: Any) -> httpx.Response:
    """Return a page as Meta writes it. `after` can be present without more pages."""
    body: dict[str, Any] = {"data": [{"id": row} for row in ids], **extra}
    if after is not None:
        body["paging"] = {"cursors": {"before": "B", "after": after}}
        if more:
            body["paging"]["next"] = f"https://evil.example/?access_token={TOKEN}&after=WRONG"
    return reply(body)


def sent_parameters(meta: Meta, name: str) -> list[str | None]:
    return [request.url.params.get(name) for request in meta.requests]


async def test_pages_are_followed_by_cursor_while_next_exists() -> None:
    """Continue after short and empty pages with `next`, and ignore the last page's cursor."""
    meta = Meta(
        page("1", after="A", more=True),
        page(after="B", more=True),
        page("2", "3", after="C"),
    )

    pages = [each async for each in meta.reader().pages(AGENCIES)]

    assert [[row["id"] for row in each.rows] for each in pages] == [["1"], [], ["2", "3"]]
    assert [each.next_cursor for each in pages] == ["A", "B", None]
    assert sent_parameters(meta, "after") == [None, "A", "B"]
    assert {request.url.host for request in meta.requests} == {"graph.facebook.com"}
    assert set(sent_parameters(meta, "fields")) == {",".join(AGENCIES.fields)}
    assert set(sent_parameters(meta, "summary")) == {"total_count"}


async def test_empty_edge_is_one_empty_page() -> None:
    pages = [each async for each in Meta(page()).reader().pages(AGENCIES)]

    assert pages == [Page([], None, None)]


@pytest.mark.parametrize(
    ("summary", "count"),
    [({"total_count": 57}, 57), ({}, None), (None, None), ({"total_count": True}, None)],
)
def test_total_is_read_from_summary(summary: object, count: int | None) -> None:
    """Treat a missing or malformed summary as no total."""
    assert page_from({"data": [], "summary": summary}).total_count == count


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"id": "1"},
        {"data": None},
        {"data": {}},
        {"data": ["1"]},
        {"data": [], "paging": {"next": "hidden"}},
        {"data": [], "paging": {"next": "hidden", "cursors": {}}},
        {"data": [], "paging": {"next": "hidden", "cursors": {"after": ""}}},
    ],
)
def test_unreadable_list_is_an_error(body: dict[str, Any]) -> None:
    """Raise, because a list cut short would look like people who left."""
    with pytest.raises(UnknownGraphError):
        page_from(body)


@pytest.mark.parametrize("paging", [None, [], {}, {"cursors": None}, {"next": "", "cursors": {}}])
def test_page_without_next_is_the_last(paging: object) -> None:
    assert page_from({"data": [{}], "paging": paging}) == Page([{}], None, None)


def test_missing_expanded_edge_is_an_empty_page() -> None:
    """Read a present edge like any other."""
    row = {"client_apps": {"data": [{"id": "9"}]}}

    assert nested_page(row, "client_apps").rows == [{"id": "9"}]
    assert nested_page(row, "owned_apps").rows == []


async def test_expired_cursor_restarts_edge_once() -> None:
    """Read from page one after error 2642, and mark the pages as a new run."""
    meta = Meta(
        page("1", after="A", more=True),
        CURSOR_DEAD,
        page("1", "2", after="B", more=True),
        page("3"),
    )

    pages = [each async for each in meta.reader().pages(AGENCIES)]

    assert [each.run for each in pages] == [1, 2, 2]
    assert sent_parameters(meta, "after") == [None, "A", None, "B"]


async def test_rows_of_abandoned_run_are_dropped() -> None:
    """Return the rows of the second run only."""
    meta = Meta(page("1", after="A", more=True), CURSOR_DEAD, page("2", after="B"))

    assert await meta.reader().rows(AGENCIES) == [{"id": "2"}]


async def test_expired_stored_cursor_restarts_from_page_one() -> None:
    meta = Meta(CURSOR_DEAD, page("1"))

    pages = [each async for each in meta.reader().pages(AGENCIES.after("OLD"))]

    assert [(each.run, each.rows) for each in pages] == [(2, [{"id": "1"}])]
    assert sent_parameters(meta, "after") == ["OLD", None]


async def test_second_expired_cursor_is_raised() -> None:
    """Avoid endless restarts."""
    meta = Meta(
        page("1", after="A", more=True), CURSOR_DEAD, page(after="B", more=True), CURSOR_DEAD
    )

    with pytest.raises(CursorExpired):
        await meta.reader().rows(AGENCIES)


async def test_repeated_cursor_is_raised() -> None:
    """Avoid an endless loop."""
    with pytest.raises(UnknownGraphError, match="second time"):
        await Meta(page("1", after="A", more=True)).reader().rows(AGENCIES)


async def test_page_with_too_much_data_is_repeated_then_halved() -> None:
    """Keep the cursor while the page size is halved."""
    meta = Meta(
        page("1", after="A", more=True),
        TOO_MUCH,
        TOO_MUCH,
        TOO_MUCH,
        TOO_MUCH,
        page("2"),
    )

    assert await meta.reader().rows(AGENCIES) == [{"id": "1"}, {"id": "2"}]
    assert sent_parameters(meta, "limit") == ["100", "100", "100", "50", "50", "25"]
    assert sent_parameters(meta, "after") == [None, "A", "A", "A", "A", "A"]


async def test_halved_page_size_grows_back() -> None:
    """Try the wanted size again after some successful pages, and never exceed it."""
    good = [page(str(n), after=f"A{n}", more=True) for n in range(10)]
    meta = Meta(TOO_MUCH, TOO_MUCH, *good, page("end"))

    await meta.reader().rows(AGENCIES.with_limit(5))

    assert sent_parameters(meta, "limit") == ["5", "5", *["2"] * 4, *["4"] * 4, *["5"] * 3]


async def test_later_pages_can_be_larger() -> None:
    """Use small pages where Meta refuses the large ones."""
    people = Read("1/business_users", ("id",), limit=100, later_limit=500)
    pages = [page(str(n), after=f"A{n}", more=True) for n in range(3)]
    too_large = error(100, "Param limit must be at most 250")

    meta = Meta(*pages, page("end"))
    assert len(await meta.reader().rows(people)) == 4
    assert sent_parameters(meta, "limit") == ["100", "500", "500", "500"]

    meta = Meta(pages[0], too_large, *pages[1:], page("end"))
    assert len(await meta.reader().rows(people)) == 4
    assert sent_parameters(meta, "limit") == ["100", "500", "100", "100", "100"]
    assert sent_parameters(meta, "after") == [None, "A0", "A0", "A1", "A2"]

    meta = Meta(too_large)
    with pytest.raises(InvalidRequest):
        await meta.reader().rows(people)
    assert sent_parameters(meta, "limit") == ["100"]


@pytest.mark.parametrize(("limit", "sizes"), [(3, ["3", "1"]), (None, [None, "12", "6", "3", "1"])])
async def test_row_that_is_too_large_is_raised(limit: int | None, sizes: list[str | None]) -> None:
    """Stop halving at one row. Without a limit, start from Meta's usual page size."""
    meta = Meta(TOO_MUCH)

    with pytest.raises(TooMuchData):
        await meta.reader().rows(Read("1/agencies", limit=limit))

    assert sent_parameters(meta, "limit") == [size for size in sizes for _ in range(2)]


async def test_pages_are_requested_one_by_one() -> None:
    """Send no request for pages that the caller does not read."""
    meta = Meta(page("1", after="A", more=True))

    async for _ in meta.reader().pages(AGENCIES):
        break

    assert len(meta.requests) == 1
