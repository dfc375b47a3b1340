"""Page tokens in a batch: what was read counts only where Meta is shown to have heard them."""

import json
from typing import Any

import pytest

from partner_connector.graph import GraphReader, TokenDead
from partner_connector.worker.meta.access import AccessBatch, page_readers, read_access
from partner_connector.worker.meta.shared_assets import AssetToRead
from tests.graph.meta import TOKEN, Meta, Reply, error, reply

PARTNER, PAGE_ID = "900", "70"
PAGE_TOKEN = "EAApageTOKENpageTOKENpageTOKENpage0123456789"
PAGE = AssetToRead("page", PAGE_ID, "A Page")
SOMEBODY = {"id": "1", "name": "Somebody", "business": {"id": PARTNER}, "tasks": ["MANAGE"]}
ALL = {"data": [SOMEBODY], "summary": {"total_count": 1}}
NOBODY: dict[str, Any] = {"data": [], "summary": {"total_count": 0}}


def item(content: dict[str, Any], code: int = 200) -> dict[str, Any]:
    """One answer of a batch."""
    return {"code": code, "body": json.dumps(content)}


def refused(code: int, message: str = "No", **more: object) -> dict[str, Any]:
    """One refusal in a batch."""
    return item({"error": {"code": code, "message": message, **more}}, 400)


async def read(*replies: Reply) -> tuple[AccessBatch, Meta]:
    """The people of one Page, whose token is at hand."""
    meta = Meta(*replies)
    client = meta.client()
    readers = {PAGE_ID: client.reader(PAGE_TOKEN)}
    (found,) = [
        batch async for batch in read_access(client.reader(TOKEN), [PAGE], PARTNER, readers)
    ]
    return found, meta


async def test_a_page_token_that_was_heard_is_enough() -> None:
    """It says that it is the Page, in the same batch: no other request."""
    found, meta = await read(reply([item(ALL), item({"id": PAGE_ID})]))

    assert [row["id"] for row in found.reads[0].rows] == ["1"]
    assert found.reads[0].is_complete
    assert len(meta.requests) == 1
    assert not found.own_tokens_ignored
    who = meta.operations()[1]
    assert who["relative_url"].startswith("me?")
    assert who["headers"] == meta.operations()[0]["headers"]


@pytest.mark.parametrize(
    "answer",
    [
        item(NOBODY),
        item(ALL | {"data": [], "summary": {"total_count": 0}}),
        refused(210, "A page access token is required"),
        refused(200, "Requires pages_manage_metadata permission"),
        refused(100, "Invalid appsecret_proof provided in the API argument"),
    ],
)
@pytest.mark.parametrize(
    "who", [item({"id": "61"}), refused(100, "Invalid appsecret_proof provided"), item({})]
)
async def test_what_another_token_saw_of_a_page_does_not_count(
    answer: dict[str, Any], who: dict[str, Any]
) -> None:
    """Neither a short list nor a refusal: the Page is asked alone, and that is remembered."""
    found, meta = await read(reply([answer, who]), reply(ALL))

    assert [row["id"] for row in found.reads[0].rows] == ["1"]
    assert found.own_tokens_ignored
    assert meta.requests[1].headers["Authorization"] == f"Bearer {PAGE_TOKEN}"


@pytest.mark.parametrize("who", [refused(190, "Dead", error_subcode=463), refused(2, "Later")])
async def test_trouble_of_its_own_is_not_remembered(who: dict[str, Any]) -> None:
    """That one token is dead, or Meta was, says nothing about the next batch."""
    answers = [item(ALL), who]
    later = [reply([who])] * 2 if json.loads(who["body"])["error"]["code"] == 2 else []
    found, _ = await read(reply(answers), *later, reply(ALL))

    assert found.reads[0].is_complete
    assert not found.own_tokens_ignored


async def test_a_refusal_of_a_token_that_was_heard_is_final() -> None:
    """The same question would have the same answer."""
    found, meta = await read(reply([refused(200), item({"id": PAGE_ID})]))

    assert found.reads[0].refusal is not None
    assert len(meta.requests) == 1


@pytest.mark.parametrize("text", ["not a token", "line\nbreak", "ümlaut"])
async def test_a_page_token_that_is_none_says_nothing_of_ours(text: str) -> None:
    """Such a Page is asked with the token that we have."""
    client = Meta(reply({"data": [{"id": PAGE_ID, "access_token": text}]})).client()

    assert await page_readers(client, client.reader(TOKEN), {PAGE_ID}) == {}


async def test_a_dead_token_of_ours_is_still_told() -> None:
    """When the batch itself is refused, it is not about a Page."""
    meta = Meta(error(190, error_subcode=463))
    client = meta.client()
    readers: dict[str, GraphReader] = {PAGE_ID: client.reader(PAGE_TOKEN)}

    with pytest.raises(TokenDead):
        await anext(read_access(client.reader(TOKEN), [PAGE], PARTNER, readers))
