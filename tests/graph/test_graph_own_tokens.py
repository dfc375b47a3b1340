"""Reads of one batch that are made with tokens of their own, and pages that a batch has brought."""

import json

import pytest

from partner_connector.graph import (
    FirstPage,
    GraphError,
    ProofMode,
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


def item(code: int, **more: object) -> dict[str, object]:
    """A failed read of a batch."""
    return {"code": 400, "body": json.dumps({"error": {"code": code, "message": "No", **more}})}


async def test_a_read_may_have_a_token_of_its_own() -> None:
    """It stands in a header of that read alone; the batch's own token stays where it was."""
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


async def test_each_token_is_proven_by_itself() -> None:
    """A proof belongs to one token, so the read has one and the batch has another."""
    meta = Meta(reply([GOOD, GOOD]))
    client = meta.client(app_secret=APP_SECRET, appsecret_proof=ProofMode.PLAIN)

    await client.reader(TOKEN).batch(
        [answer_to(ACCOUNT), answer_to(PAGE, client.reader(PAGE_TOKEN))]
    )

    plain, own = meta.operations()
    assert "appsecret_proof" not in plain["relative_url"]
    _, proof = own["relative_url"].split("appsecret_proof=")
    assert len(proof) == 64
    assert proof != meta.form()["appsecret_proof"]


async def test_only_the_repeated_read_keeps_its_token() -> None:
    """A repeat is a smaller batch: the token follows its read to the new place."""
    meta = Meta(reply([GOOD, None]), reply([GOOD]))
    client = meta.client()

    await client.reader(TOKEN).batch(
        [answer_to(ACCOUNT), answer_to(PAGE, client.reader(PAGE_TOKEN))]
    )

    (again,) = meta.operations()
    assert again["headers"] == [{"name": "Authorization", "value": f"Bearer {PAGE_TOKEN}"}]


async def test_an_error_does_not_repeat_the_token_of_its_read() -> None:
    """Meta repeats what it was given; what people see has neither of the two."""
    text = f"Malformed access token {PAGE_TOKEN} {TOKEN}"
    meta = Meta(reply([GOOD, item(190, message=text)]))
    client = meta.client()

    found = await client.reader(TOKEN).batch(
        [answer_to(ACCOUNT), answer_to(PAGE, client.reader(PAGE_TOKEN))]
    )

    assert isinstance(found[1], GraphError)
    assert PAGE_TOKEN not in str(found[1])
    assert TOKEN not in str(found[1])


async def test_batch_credentials_print_as_stars_and_are_not_stored() -> None:
    """As those of a single token."""
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
async def test_no_other_header_leaves_in_a_batch(headers: object) -> None:
    """The transport lets a read's own token through, and nothing else."""
    operation = {"method": "GET", "relative_url": "1", "headers": headers}

    with pytest.raises(WriteRefused):
        await Meta(reply([])).http.post(
            f"{BASE_URL}/v26.0/", data={"batch": json.dumps([operation])}
        )


async def test_a_later_batch_that_fails_spoils_no_earlier_one() -> None:
    """51 reads are two batches; what the first has brought is kept."""
    meta = Meta(reply([GOOD] * 50), error(190, "Dead"))

    found = await meta.client().reader(TOKEN).batch([answer_to(ACCOUNT)] * 51)

    assert found[:50] == [{"data": [{"id": "1"}]}] * 50
    assert isinstance(found[50], GraphError)
    assert found[50].code == 190


async def test_a_page_that_a_batch_brought_is_not_asked_for_again() -> None:
    """The edge goes on behind it."""
    first = {"data": [{"id": "1"}], "paging": {"cursors": {"after": "c1"}, "next": "https://x"}}
    meta = Meta(reply({"data": [{"id": "2"}]}))

    rows = await meta.client().reader(TOKEN).rows(FirstPage(ACCOUNT, first))

    assert [row["id"] for row in rows] == ["1", "2"]
    assert len(meta.requests) == 1
    assert "after=c1" in meta.urls[0]


@pytest.mark.parametrize(
    "failed", [item(1, message="Please reduce the amount of data"), item(2642)]
)
async def test_what_a_batch_could_not_carry_is_asked_for_alone(failed: object) -> None:
    """Too much for a batch, or a cursor that died in it, is no reason to give up the edge."""
    meta = Meta(reply([failed]), reply([failed]), reply({"data": [{"id": "2"}]}))
    reader = meta.client().reader(TOKEN)
    (first,) = await reader.batch([first_page(ACCOUNT)])
    if len(meta.replies) > 1:
        meta.replies = meta.replies[-1:]

    assert [row["id"] for row in await reader.rows(first)] == ["2"]


async def test_other_trouble_of_a_first_page_is_raised() -> None:
    """Without another request."""
    meta = Meta(reply({}))
    trouble = Temporary("Later")

    with pytest.raises(Temporary):
        await meta.client().reader(TOKEN).rows(FirstPage(ACCOUNT, trouble))
    assert meta.requests == []


async def test_a_ring_of_cursors_ends() -> None:
    """Two cursors in turn would lead round for ever."""

    def page(cursor: str) -> dict[str, object]:
        return {"data": [], "paging": {"cursors": {"after": cursor}, "next": "https://x"}}

    meta = Meta(reply(page("a")), reply(page("b")), reply(page("a")))

    with pytest.raises(UnknownGraphError, match="read before"):
        await meta.client().reader(TOKEN).rows(ACCOUNT)


async def test_a_whole_batch_that_is_unreachable_is_raised() -> None:
    """Nothing was read, so there is nothing to keep."""
    meta = Meta(reply("<html>", 503))

    with pytest.raises(Unreachable):
        await meta.client().reader(TOKEN).batch([answer_to(ACCOUNT)])


async def test_a_limit_is_that_of_the_token_of_its_read() -> None:
    """A Page token that met its limit does not hold back the batch's own token."""
    meta = Meta(reply([GOOD, item(17)]), reply({"id": "9"}))
    client = meta.client()
    own, page = client.reader(TOKEN, account="own"), client.reader(PAGE_TOKEN, account="page")

    await own.batch([answer_to(ACCOUNT), answer_to(PAGE, page)])

    assert set(client.budgets) == {"token:page"}
    assert await own.get(edges.me()) == {"id": "9"}
