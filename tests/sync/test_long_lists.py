"""Lists of people with more than one page: the next pages of many assets go out in one batch."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from partner_connector.graph import InvalidRequest, Temporary
from partner_connector.worker.meta.access import AccessBatch, read_access
from partner_connector.worker.meta.shared_assets import AssetToRead
from tests.graph.meta import TOKEN, Meta

PARTNER = "900"


class Lists:
    """People on assets, served page by page to batches, and refused where told so."""

    def __init__(self, **sizes: int) -> None:
        self.sizes = sizes
        self.batches: list[list[str]] = []
        self.refused: dict[tuple[str, str], dict[str, Any]] = {}
        """(asset, page size or cursor) → the error instead of a page."""

    def answer(self, request: httpx.Request) -> httpx.Response:
        """One batch, or one read by itself."""
        if request.method == "GET":
            found = self._one(request.url.raw_path.decode().partition("/v26.0/")[2])
            return httpx.Response(400 if "error" in found else 200, json=found)
        operations = json.loads(parse_qs(request.content.decode())["batch"][0])
        asked = [operation["relative_url"] for operation in operations]
        self.batches.append(asked)
        bodies = [self._one(url) for url in asked]
        return httpx.Response(
            200,
            json=[
                {"code": 400 if "error" in body else 200, "body": json.dumps(body)}
                for body in bodies
            ],
        )

    def _one(self, relative_url: str) -> dict[str, Any]:
        url = urlsplit(relative_url)
        asset = url.path.split("/")[0]
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        limit, start = int(query["limit"]), int(query.get("after", "0"))
        for key in ((asset, query["limit"]), (asset, f"after {start}")):
            if key in self.refused:
                return {"error": self.refused[key]}
        end = min(start + limit, self.sizes[asset])
        rows = [
            {"id": f"{asset}{place:05}", "name": "N", "business": {"id": PARTNER}, "tasks": []}
            for place in range(start, end)
        ]
        paging = {"cursors": {"after": str(end)}}
        more = {"next": "https://graph.facebook.com/next"} if end < self.sizes[asset] else {}
        return {
            "data": rows,
            "paging": paging | more,
            "summary": {"total_count": self.sizes[asset]},
        }


async def read(lists: Lists) -> list[AccessBatch]:
    """All of the assets that there are."""
    assets = [AssetToRead("pixel", meta_id, f"Pixel {meta_id}") for meta_id in lists.sizes]
    reader = Meta(lists.answer).client().reader(TOKEN)
    return [batch async for batch in read_access(reader, assets, PARTNER, {})]


def found(batches: list[AccessBatch]) -> dict[str, int]:
    """People by asset, of those that were read."""
    reads = [one for batch in batches for one in batch.reads]
    assert all(one.is_complete for one in reads)
    return {one.asset.meta_id: len({row["id"] for row in one.rows}) for one in reads}


async def test_later_pages_of_many_assets_go_out_together() -> None:
    """Three assets of up to a thousand people: three requests, not thirteen."""
    lists = Lists(**{"1": 40, "2": 600, "3": 1000, "4": 150})

    assert found(await read(lists)) == lists.sizes
    assert [len(batch) for batch in lists.batches] == [4, 3, 1]


async def test_what_would_fill_the_memory_comes_in_parts() -> None:
    """A batch of lists is handed on before the next ones are read on."""
    lists = Lists(**{str(number): 3000 for number in range(1, 6)})

    batches = await read(lists)

    assert found(batches) == lists.sizes
    assert sorted(len(batch.reads) for batch in batches) == [0, 1, 2, 2]


async def test_an_edge_that_refuses_great_pages_is_read_in_small_ones() -> None:
    """Together with the others, not one by one."""
    lists = Lists(**{"1": 250, "2": 250})
    lists.refused = {(asset, "500"): {"code": 100, "message": "limit"} for asset in lists.sizes}

    assert found(await read(lists)) == lists.sizes
    assert [len(batch) for batch in lists.batches] == [2, 2, 2, 2]


async def test_a_cursor_that_died_is_read_anew_alone() -> None:
    """Its asset is complete, and nobody is in it twice."""
    lists = Lists(**{"1": 250, "2": 250})
    lists.refused = {("1", "after 100"): {"code": 2642, "message": "Invalid cursors values"}}
    later = Lists(**lists.sizes)

    def answer(request: httpx.Request) -> httpx.Response:
        return (later if request.method == "GET" else lists).answer(request)

    reader = Meta(answer).client().reader(TOKEN)
    assets = [AssetToRead("pixel", meta_id, "P") for meta_id in lists.sizes]

    assert found([batch async for batch in read_access(reader, assets, PARTNER, {})]) == {
        "1": 250,
        "2": 250,
    }


@pytest.mark.parametrize(
    ("told", "kind"),
    [({"code": 200, "message": "No"}, None), ({"code": 2, "message": "Later"}, Temporary)],
)
async def test_a_later_page_that_is_missing_makes_no_shorter_list(
    told: dict[str, Any], kind: type[Exception] | None
) -> None:
    """Refused: known as refused. In trouble: not read, and told as trouble. The others are read."""
    lists = Lists(**{"1": 250, "2": 250})
    lists.refused = {("1", "after 100"): told}

    batches = await read(lists)

    reads = {one.asset.meta_id: one for batch in batches for one in batch.reads}
    assert reads["2"].is_complete
    if kind is None:
        assert reads["1"].refusal is not None
        assert not isinstance(reads["1"].refusal, InvalidRequest)
    else:
        assert "1" not in reads
        assert isinstance(batches[-1].trouble, kind)
