"""Lists of users with more than one page: the next pages of many assets are read in one batch."""

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


class UserLists:
    """Users of assets, served page by page to batches and refused where a test says so."""

    def __init__(self, **sizes: int) -> None:
        self.sizes = sizes
        self.batches: list[list[str]] = []
        self.refused: dict[tuple[str, str], dict[str, Any]] = {}
        """(asset, page size or cursor) → the error instead of a page."""

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one batch, or one single read."""
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


async def read_all(lists: UserLists) -> list[AccessBatch]:
    """Read all of the assets."""
    assets = [AssetToRead("pixel", meta_id, f"Pixel {meta_id}") for meta_id in lists.sizes]
    reader = Meta(lists.answer).client().reader(TOKEN)
    return [batch async for batch in read_access(reader, assets, PARTNER, {})]


def users_by_asset(batches: list[AccessBatch]) -> dict[str, int]:
    """Return the number of users of each asset that was read."""
    reads = [one for batch in batches for one in batch.reads]
    assert all(one.is_complete for one in reads)
    return {one.asset.meta_id: len({row["id"] for row in one.rows}) for one in reads}


async def test_later_pages_of_many_assets_share_a_batch() -> None:
    """Read assets of up to a thousand users with three requests instead of thirteen."""
    lists = UserLists(**{"1": 40, "2": 600, "3": 1000, "4": 150})

    assert users_by_asset(await read_all(lists)) == lists.sizes
    assert [len(batch) for batch in lists.batches] == [4, 3, 1]


async def test_long_lists_are_returned_in_parts() -> None:
    """Return a batch of lists before the next lists are read, to limit memory."""
    lists = UserLists(**{str(number): 3000 for number in range(1, 6)})

    batches = await read_all(lists)

    assert users_by_asset(batches) == lists.sizes
    assert sorted(len(batch.reads) for batch in batches) == [0, 1, 2, 2]


async def test_edge_that_refuses_large_pages_is_read_in_small_ones() -> None:
    """Keep the assets in common batches."""
    lists = UserLists(**{"1": 250, "2": 250})
    lists.refused = {(asset, "500"): {"code": 100, "message": "limit"} for asset in lists.sizes}

    assert users_by_asset(await read_all(lists)) == lists.sizes
    assert [len(batch) for batch in lists.batches] == [2, 2, 2, 2]


async def test_list_with_expired_cursor_is_read_again_alone() -> None:
    """Return every user of its asset once."""
    lists = UserLists(**{"1": 250, "2": 250})
    lists.refused = {("1", "after 100"): {"code": 2642, "message": "Invalid cursors values"}}
    later = UserLists(**lists.sizes)

    def answer(request: httpx.Request) -> httpx.Response:
        """Answer one batch, or one single read."""
        return (later if request.method == "GET" else lists).answer(request)

    reader = Meta(answer).client().reader(TOKEN)
    assets = [AssetToRead("pixel", meta_id, "P") for meta_id in lists.sizes]

    assert users_by_asset([batch async for batch in read_access(reader, assets, PARTNER, {})]) == {
        "1": 250,
        "2": 250,
    }


@pytest.mark.parametrize(
    ("failure", "kind"),
    [({"code": 200, "message": "No"}, None), ({"code": 2, "message": "Later"}, Temporary)],
)
async def test_failed_later_page_makes_no_short_list(
    failure: dict[str, Any], kind: type[Exception] | None
) -> None:
    """Return a refusal as a refusal and another error in `error`, and read the other assets."""
    lists = UserLists(**{"1": 250, "2": 250})
    lists.refused = {("1", "after 100"): failure}

    batches = await read_all(lists)

    reads = {one.asset.meta_id: one for batch in batches for one in batch.reads}
    assert reads["2"].is_complete
    if kind is None:
        assert reads["1"].refusal is not None
        assert not isinstance(reads["1"].refusal, InvalidRequest)
    else:
        assert "1" not in reads
        assert isinstance(batches[-1].error, kind)
