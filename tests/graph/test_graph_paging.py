"""Paging: when there is more, where it is, and what happens when the place is lost."""

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
    """A page as Meta writes it; `after` may stand there with or without more pages."""
    body: dict[str, Any] = {"data": [{"id": row} for row in ids], **extra}
    if after is not None:
        body["paging"] = {"cursors": {"before": "B", "after": after}}
        if more:
            body["paging"]["next"] = f"https://evil.example/?access_token={TOKEN}&after=WRONG"
    return reply(body)


def sent(meta: Meta, name: str) -> list[str | None]:
    return [request.url.params.get(name) for request in meta.requests]


async def test_pages_are_followed_by_cursor_while_next_exists() -> None:
    """Short and empty pages with `next` go on, and the last page's cursor is not followed."""
    meta = Meta(
        page("1", after="A", more=True),
        page(after="B", more=True),
        page("2", "3", after="C"),
    )

    pages = [each async for each in meta.reader().pages(AGENCIES)]

    assert [[row["id"] for row in each.rows] for each in pages] == [["1"], [], ["2", "3"]]
    assert [each.next_cursor for each in pages] == ["A", "B", None]
    assert sent(meta, "after") == [None, "A", "B"]
    assert {request.url.host for request in meta.requests} == {"graph.facebook.com"}
    assert set(sent(meta, "fields")) == {",".join(AGENCIES.fields)}
    assert set(sent(meta, "summary")) == {"total_count"}


async def test_an_empty_edge_is_one_empty_page() -> None:
    """`{"data": []}` without paging is a complete answer."""
    pages = [each async for each in Meta(page()).reader().pages(AGENCIES)]

    assert pages == [Page([], None, None)]


@pytest.mark.parametrize(
    ("summary", "count"),
    [({"total_count": 57}, 57), ({}, None), (None, None), ({"total_count": True}, None)],
)
def test_the_total_is_read_where_the_edge_offers_it(summary: object, count: int | None) -> None:
    """A missing or odd summary is no total."""
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
def test_a_list_that_cannot_be_read_to_its_end_is_an_error(body: dict[str, Any]) -> None:
    """Taking it for a short list would look like people who left."""
    with pytest.raises(UnknownGraphError):
        page_from(body)


@pytest.mark.parametrize("paging", [None, [], {}, {"cursors": None}, {"next": "", "cursors": {}}])
def test_odd_paging_without_next_is_the_end(paging: object) -> None:
    """Only `next` promises more."""
    assert page_from({"data": [{}], "paging": paging}) == Page([{}], None, None)


def test_an_expanded_edge_without_rows_is_left_out_by_meta() -> None:
    """A missing nested edge is an empty page, a present one is read like any other."""
    row = {"client_apps": {"data": [{"id": "9"}]}}

    assert nested_page(row, "client_apps").rows == [{"id": "9"}]
    assert nested_page(row, "owned_apps").rows == []


async def test_a_lost_cursor_starts_the_edge_again_once() -> None:
    """After 2642 the edge is read from page one, and the pages say that they are a new run."""
    meta = Meta(
        page("1", after="A", more=True),
        CURSOR_DEAD,
        page("1", "2", after="B", more=True),
        page("3"),
    )

    pages = [each async for each in meta.reader().pages(AGENCIES)]

    assert [each.run for each in pages] == [1, 2, 2]
    assert sent(meta, "after") == [None, "A", None, "B"]


async def test_rows_of_a_broken_off_run_are_dropped() -> None:
    """`rows` returns the second run only."""
    meta = Meta(page("1", after="A", more=True), CURSOR_DEAD, page("2", after="B"))

    assert await meta.reader().rows(AGENCIES) == [{"id": "2"}]


async def test_a_stored_cursor_that_died_starts_from_page_one() -> None:
    """Going on after an interruption survives a cursor that is too old."""
    meta = Meta(CURSOR_DEAD, page("1"))

    pages = [each async for each in meta.reader().pages(AGENCIES.after("OLD"))]

    assert [(each.run, each.rows) for each in pages] == [(2, [{"id": "1"}])]
    assert sent(meta, "after") == ["OLD", None]


async def test_a_cursor_that_dies_twice_is_raised() -> None:
    """There is no endless starting again."""
    meta = Meta(
        page("1", after="A", more=True), CURSOR_DEAD, page(after="B", more=True), CURSOR_DEAD
    )

    with pytest.raises(CursorExpired):
        await meta.reader().rows(AGENCIES)


async def test_a_cursor_that_stands_still_is_raised() -> None:
    """The same cursor twice would loop for ever."""
    with pytest.raises(UnknownGraphError, match="read before"):
        await Meta(page("1", after="A", more=True)).reader().rows(AGENCIES)


async def test_too_much_data_is_repeated_and_then_halved_from_the_same_place() -> None:
    """First the same again, then half the page size behind the same cursor."""
    meta = Meta(
        page("1", after="A", more=True),
        TOO_MUCH,
        TOO_MUCH,
        TOO_MUCH,
        TOO_MUCH,
        page("2"),
    )

    assert await meta.reader().rows(AGENCIES) == [{"id": "1"}, {"id": "2"}]
    assert sent(meta, "limit") == ["100", "100", "100", "50", "50", "25"]
    assert sent(meta, "after") == [None, "A", "A", "A", "A", "A"]


async def test_a_halved_page_size_grows_back() -> None:
    """After some good pages the wanted size is tried again, and never passed."""
    good = [page(str(n), after=f"A{n}", more=True) for n in range(10)]
    meta = Meta(TOO_MUCH, TOO_MUCH, *good, page("end"))

    await meta.reader().rows(AGENCIES.with_limit(5))

    assert sent(meta, "limit") == ["5", "5", *["2"] * 4, *["4"] * 4, *["5"] * 3]


async def test_pages_behind_the_first_may_be_greater() -> None:
    """Long lists take fewer calls; where Meta finds that too much, or refuses it, small ones do."""
    people = Read("1/business_users", ("id",), limit=100, later_limit=500)
    pages = [page(str(n), after=f"A{n}", more=True) for n in range(3)]
    too_great = error(100, "Param limit must be at most 250")

    meta = Meta(*pages, page("end"))
    assert len(await meta.reader().rows(people)) == 4
    assert sent(meta, "limit") == ["100", "500", "500", "500"]

    meta = Meta(pages[0], too_great, *pages[1:], page("end"))
    assert len(await meta.reader().rows(people)) == 4
    assert sent(meta, "limit") == ["100", "500", "100", "100", "100"]
    assert sent(meta, "after") == [None, "A0", "A0", "A1", "A2"]

    meta = Meta(too_great)
    with pytest.raises(InvalidRequest):
        await meta.reader().rows(people)
    assert sent(meta, "limit") == ["100"]


@pytest.mark.parametrize(("limit", "sizes"), [(3, ["3", "1"]), (None, [None, "12", "6", "3", "1"])])
async def test_one_row_that_is_too_big_is_raised(
    limit: int | None, sizes: list[str | None]
) -> None:
    """Halving ends at one; without a limit it starts from what Meta takes."""
    meta = Meta(TOO_MUCH)

    with pytest.raises(TooMuchData):
        await meta.reader().rows(Read("1/agencies", limit=limit))

    assert sent(meta, "limit") == [size for size in sizes for _ in range(2)]


async def test_pages_are_asked_for_one_by_one() -> None:
    """A caller that stops early has not paid for the rest."""
    meta = Meta(page("1", after="A", more=True))

    async for _ in meta.reader().pages(AGENCIES):
        break

    assert len(meta.requests) == 1
