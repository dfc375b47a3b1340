"""Batch reads with their own tokens, and first pages that a batch has read."""

import json

import pytest

from partner_connector.graph import (
    AppsecretProofMode,
    FirstPage,
    GraphError,
    Temporary,
    UnknownGraphError,
    Unreachable,
    WriteRefused,
    answer_to,
    edges,
    first_page,
)
from partner_connector.graph.credentials import BatchCredentials

from .meta import APP_SECRET, BASE_URL, TOKEN, Meta, error, reply

PAGE_TOKEN = "EAApageTOKENpageTOKENpageTOKENpage0123456789"
GOOD = {"code": 200, "body": '{"data":[{"id":"1"}]}'}
PAGE = edges.assigned_users("70", "9")
ACCOUNT = edges.assigned_users("act_8", "9")


def failed_item(code: int, **more: object) -> dict[str, object]:
    """Return a failed item of a batch."""
    return {"code": 400, "body": json.dumps({"error": {"code": code, "message": "No", **more}})}


async def test_read_of_batch_can_have_its_own_token() -> None:
    """Send that token in a header of the read alone, and the batch's token in the form."""
    meta = Meta(reply([GOOD, GOOD]))
    client = meta.client()

    found = await client.reader(TOKEN).batch(
        [answer_to(ACCOUNT), answer_to(PAGE, client.reader(PAGE_TOKEN))]
    )

    assert found == [{"data": [{"id": "1"}]}] * 2
    plain, own = meta.operations()
    assert set(plain) == {"method", "relative_url"}
    assert own["headers"] == [{"name": "Authorization", "value": f"Bearer {PAGE_TOKEN}"}]
    assert meta.form()["access_token"] == TOKEN
    assert not any(secret in url for url in meta.urls for secret in (TOKEN, PAGE_TOKEN))
    assert PAGE_TOKEN not in own["relative_url"]


async def test_each_token_has_its_own_appsecret_proof() -> None:
    """Send one value for the read and another for the batch."""
    meta = Meta(reply([GOOD, GOOD]))
    client = meta.client(app_secret=APP_SECRET, appsecret_proof=AppsecretProofMode.PLAIN)

    await client.reader(TOKEN).batch(
        [answer_to(ACCOUNT), answer_to(PAGE, client.reader(PAGE_TOKEN))]
    )

    plain, own = meta.operations()
    assert "appsecret_proof" not in plain["relative_url"]
    _, appsecret_proof = own["relative_url"].split("appsecret_proof=")
    assert len(appsecret_proof) == 64
    assert appsecret_proof != meta.form()["appsecret_proof"]


async def test_repeated_read_keeps_its_own_token() -> None:
    """Move the token with its read to the new position in the smaller batch."""
    meta = Meta(reply([GOOD, None]), reply([GOOD]))
    client = meta.client()

    await client.reader(TOKEN).batch(
        [answer_to(ACCOUNT), answer_to(PAGE, client.reader(PAGE_TOKEN))]
    )

    (again,) = meta.operations()
    assert again["headers"] == [{"name": "Authorization", "value": f"Bearer {PAGE_TOKEN}"}]


async def test_error_text_holds_no_token() -> None:
    """Remove both tokens from Meta's message."""
    text = f"Malformed access token {PAGE_TOKEN} {TOKEN}"
    meta = Meta(reply([GOOD, failed_item(190, message=text)]))
    client = meta.client()

    found = await client.reader(TOKEN).batch(
        [answer_to(ACCOUNT), answer_to(PAGE, client.reader(PAGE_TOKEN))]
    )

    assert isinstance(found[1], GraphError)
    assert PAGE_TOKEN not in str(found[1])
    assert TOKEN not in str(found[1])


async def test_batch_credentials_are_hidden_and_not_pickled() -> None:
    client = Meta(reply({})).client()
    own, other = client.reader(TOKEN).credentials, client.reader(PAGE_TOKEN).credentials
    both = BatchCredentials(own, [other])

    assert repr(both) == "BatchCredentials(****)"
    assert both.secrets() == (TOKEN, PAGE_TOKEN)
    with pytest.raises(TypeError, match="never stored"):
        both.__reduce__()


@pytest.mark.parametrize(
    "headers",
    [
        [],
        {},
        "Authorization",
        [{"name": "X-HTTP-Method-Override", "value": "DELETE"}],
        [{"name": "Authorization", "value": "Basic abc"}],
        [{"name": "Authorization", "value": ["Bearer a"]}],
        [{"name": "Authorization", "value": "Bearer a\r\nX-HTTP-Method-Override: DELETE"}],
        [{"name": "Authorization", "value": "Bearer a b"}],
        [{"name": "Authorization", "value": "Bearer a", "more": "b"}],
        [{"name": "Authorization", "value": "Bearer a"}, {"name": "Host", "value": "b"}],
    ],
)
async def test_operation_with_other_header_is_refused(headers: object) -> None:
    """Allow only a read's own token."""
    operation = {"method": "GET", "relative_url": "1", "headers": headers}

    with pytest.raises(WriteRefused):
        await Meta(reply([])).http.post(
            f"{BASE_URL}/v26.0/", data={"batch": json.dumps([operation])}
        )


async def test_failed_second_batch_keeps_results_of_first() -> None:
    """Send 51 reads in two batches."""
    meta = Meta(reply([GOOD] * 50), error(190, "Dead"))

    found = await meta.client().reader(TOKEN).batch([answer_to(ACCOUNT)] * 51)

    assert found[:50] == [{"data": [{"id": "1"}]}] * 50
    assert isinstance(found[50], GraphError)
    assert found[50].code == 190


async def test_page_read_by_batch_is_not_read_again() -> None:
    """Continue the edge after that page."""
    first = {"data": [{"id": "1"}], "paging": {"cursors": {"after": "c1"}, "next": "https://x"}}
    meta = Meta(reply({"data": [{"id": "2"}]}))

    rows = await meta.client().reader(TOKEN).rows(FirstPage(ACCOUNT, first))

    assert [row["id"] for row in rows] == ["1", "2"]
    assert len(meta.requests) == 1
    assert "after=c1" in meta.urls[0]


@pytest.mark.parametrize(
    "failed", [failed_item(1, message="Please reduce the amount of data"), failed_item(2642)]
)
async def test_page_that_failed_in_batch_is_read_alone(failed: object) -> None:
    """Continue after too much data for a batch, or after an expired cursor."""
    meta = Meta(reply([failed]), reply([failed]), reply({"data": [{"id": "2"}]}))
    reader = meta.client().reader(TOKEN)
    (first,) = await reader.batch([first_page(ACCOUNT)])
    if len(meta.replies) > 1:
        meta.replies = meta.replies[-1:]

    assert [row["id"] for row in await reader.rows(first)] == ["2"]


async def test_other_error_of_first_page_is_raised() -> None:
    """Send no other request."""
    meta = Meta(reply({}))
    failure = Temporary("Later")

    with pytest.raises(Temporary):
        await meta.client().reader(TOKEN).rows(FirstPage(ACCOUNT, failure))
    assert meta.requests == []


async def test_repeating_cursors_are_an_error() -> None:
    """Prevent an endless loop of two cursors."""

    def page(cursor: str) -> dict[str, object]:
        return {"data": [], "paging": {"cursors": {"after": cursor}, "next": "https://x"}}

    meta = Meta(reply(page("a")), reply(page("b")), reply(page("a")))

    with pytest.raises(UnknownGraphError, match="second time"):
        await meta.client().reader(TOKEN).rows(ACCOUNT)


async def test_unreachable_batch_is_raised() -> None:
    meta = Meta(reply("<html>", 503))

    with pytest.raises(Unreachable):
        await meta.client().reader(TOKEN).batch([answer_to(ACCOUNT)])


async def test_limit_applies_to_token_of_its_read() -> None:
    """Do not block the batch's token when a Page token is throttled."""
    meta = Meta(reply([GOOD, failed_item(17)]), reply({"id": "9"}))
    client = meta.client()
    own, page = client.reader(TOKEN, account="own"), client.reader(PAGE_TOKEN, account="page")

    await own.batch([answer_to(ACCOUNT), answer_to(PAGE, page)])

    assert set(client.budgets) == {"token:page"}
    assert await own.get(edges.me()) == {"id": "9"}
