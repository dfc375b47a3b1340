"""Page tokens in a batch: their reads count only where Meta used these tokens."""

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
ADA = {"id": "1", "name": "Ada", "business": {"id": PARTNER}, "tasks": ["MANAGE"]}
ALL = {"data": [ADA], "summary": {"total_count": 1}}
NO_USERS: dict[str, Any] = {"data": [], "summary": {"total_count": 0}}


def item(content: dict[str, Any], code: int = 200) -> dict[str, Any]:
    """Return one answer of a batch."""
    return {"code": code, "body": json.dumps(content)}


def refused_item(code: int, message: str = "No", **more: object) -> dict[str, Any]:
    """Return one refusal in a batch."""
    return item({"error": {"code": code, "message": message, **more}}, 400)


async def read_page(*replies: Reply) -> tuple[AccessBatch, Meta]:
    """Read the users of one Page, whose token is available."""
    meta = Meta(*replies)
    client = meta.client()
    readers = {PAGE_ID: client.reader(PAGE_TOKEN)}
    (found,) = [
        batch async for batch in read_access(client.reader(TOKEN), [PAGE], PARTNER, readers)
    ]
    return found, meta


async def test_page_token_that_meta_used_needs_no_other_request() -> None:
    """Ask for the token's own identity in the same batch."""
    found, meta = await read_page(reply([item(ALL), item({"id": PAGE_ID})]))

    assert [row["id"] for row in found.reads[0].rows] == ["1"]
    assert found.reads[0].is_complete
    assert len(meta.requests) == 1
    assert not found.page_tokens_ignored
    who = meta.operations()[1]
    assert who["relative_url"].startswith("me?")
    assert who["headers"] == meta.operations()[0]["headers"]


@pytest.mark.parametrize(
    "answer",
    [
        item(NO_USERS),
        item(ALL | {"data": [], "summary": {"total_count": 0}}),
        refused_item(210, "A page access token is required"),
        refused_item(200, "Requires pages_manage_metadata permission"),
        refused_item(100, "Invalid appsecret_proof provided in the API argument"),
    ],
)
@pytest.mark.parametrize(
    "who", [item({"id": "61"}), refused_item(100, "Invalid appsecret_proof provided"), item({})]
)
async def test_reads_of_another_token_are_repeated_with_page_token(
    answer: dict[str, Any], who: dict[str, Any]
) -> None:
    """Discard short lists and refusals, read the Page alone, and record that Meta ignores these
    tokens.
    """
    found, meta = await read_page(reply([answer, who]), reply(ALL))

    assert [row["id"] for row in found.reads[0].rows] == ["1"]
    assert found.page_tokens_ignored
    assert meta.requests[1].headers["Authorization"] == f"Bearer {PAGE_TOKEN}"


@pytest.mark.parametrize(
    "who", [refused_item(190, "Dead", error_subcode=463), refused_item(2, "Later")]
)
async def test_failure_of_single_page_token_is_not_recorded(who: dict[str, Any]) -> None:
    """Conclude nothing about the next batch from a dead token or a temporary error."""
    answers = [item(ALL), who]
    later = [reply([who])] * 2 if json.loads(who["body"])["error"]["code"] == 2 else []
    found, _ = await read_page(reply(answers), *later, reply(ALL))

    assert found.reads[0].is_complete
    assert not found.page_tokens_ignored


async def test_refusal_of_used_page_token_is_final() -> None:
    found, meta = await read_page(reply([refused_item(200), item({"id": PAGE_ID})]))

    assert found.reads[0].refusal is not None
    assert len(meta.requests) == 1


@pytest.mark.parametrize("text", ["not a token", "line\nbreak", "ümlaut"])
async def test_malformed_page_token_is_not_used(text: str) -> None:
    """Read such a Page with the partner's token."""
    client = Meta(reply({"data": [{"id": PAGE_ID, "access_token": text}]})).client()

    assert await page_readers(client, client.reader(TOKEN), {PAGE_ID}) == {}


async def test_dead_batch_token_is_raised() -> None:
    meta = Meta(error(190, error_subcode=463))
    client = meta.client()
    readers: dict[str, GraphReader] = {PAGE_ID: client.reader(PAGE_TOKEN)}

    with pytest.raises(TokenDead):
        await anext(read_access(client.reader(TOKEN), [PAGE], PARTNER, readers))
