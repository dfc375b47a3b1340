"""Shared assets with their people in the rows: the plain way stays open."""

import json
from typing import Any

import pytest

from partner_connector.graph import GraphError, TokenDead, first_page
from partner_connector.worker.meta.shared_assets import (
    OURS_TO_PARTNER,
    SharedAssets,
    reads_with_people,
    shared_assets,
)
from tests.graph.meta import TOKEN, Meta, Reply, error, reply

HOST, PARTNER = "100", "900"
PIXEL = {"id": "50", "name": "Pixel", "owner_business": {"id": HOST}}
EMPTY: dict[str, Any] = {"code": 200, "body": '{"data":[]}'}
TOO_MUCH = "Please reduce the amount of data you're asking for"


def failed(code: int, message: str = "No", **more: object) -> dict[str, Any]:
    """One failed read of a batch."""
    return {"code": 400, "body": json.dumps({"error": {"code": code, "message": message, **more}})}


async def pixels(meta: Meta) -> tuple[list[SharedAssets], GraphError | None]:
    """What is found where only the last of the four edges has trouble."""
    reader = meta.client().reader(TOKEN)
    reads = reads_with_people(PARTNER)
    found: list[SharedAssets] = []
    raised = None
    try:
        first_pages = await reader.batch([first_page(read) for read in reads])
        shares = shared_assets(reader, first_pages, owned_by=HOST, direction=OURS_TO_PARTNER)
        found.extend([some async for some in shares])
    except GraphError as trouble:
        raised = trouble
    return [some for some in found if some.edge == "client_pixels"], raised


@pytest.mark.parametrize(
    ("trouble", "repeats", "is_remembered"),
    [
        (failed(100, "(#100) Tried accessing nonexisting field"), 0, True),
        (failed(200), 0, True),
        (failed(368), 0, True),
        (failed(99999), 0, True),
        (failed(2), 2, False),
        (failed(200, is_transient=True), 2, False),
    ],
)
async def test_rows_that_cannot_have_people_are_read_without(
    trouble: dict[str, Any], repeats: int, is_remembered: bool
) -> None:
    """Only what will not pass is remembered."""
    again: list[Reply] = [reply([trouble])] * repeats
    meta = Meta(reply([EMPTY, EMPTY, EMPTY, trouble]), *again, reply({"data": [PIXEL]}))

    found, raised = await pixels(meta)

    assert raised is None
    assert [asset.meta_id for some in found for asset in some.assets] == ["50"]
    assert [some.is_bare for some in found] == [is_remembered]
    assert "assigned_users" not in meta.urls[-1]


@pytest.mark.parametrize(
    ("trouble", "kind"), [(failed(190, error_subcode=463), TokenDead), (failed(17), GraphError)]
)
async def test_what_hits_the_rest_too_is_raised_at_once(
    trouble: dict[str, Any], kind: type[GraphError]
) -> None:
    """A dead token and a limit are no reason to ask in another way."""
    meta = Meta(reply([EMPTY, EMPTY, EMPTY, trouble]))

    _, raised = await pixels(meta)

    assert isinstance(raised, kind)
    assert len(meta.requests) == 1


async def test_an_edge_that_refuses_both_ways_is_unknown() -> None:
    """It is not empty, and not remembered as a refusal of its people."""
    meta = Meta(reply([EMPTY, EMPTY, EMPTY, failed(200)]), error(200))

    (found,), raised = await pixels(meta)

    assert raised is None
    assert found.refusal is not None
    assert not found.is_bare


async def test_rows_that_are_too_much_with_people_may_fit_without() -> None:
    """After halving down to one row."""
    small = [reply({"error": {"code": 1, "message": TOO_MUCH}}, 500)] * 12
    meta = Meta(
        reply([EMPTY, EMPTY, EMPTY, failed(1, TOO_MUCH)]),
        reply([failed(1, TOO_MUCH)]),
        *small,
        lambda request: (
            reply({"error": {"code": 1, "message": TOO_MUCH}}, 500)
            if "assigned_users" in str(request.url)
            else reply({"data": [PIXEL]})
        ),
    )

    found, raised = await pixels(meta)

    assert raised is None
    assert [asset.meta_id for some in found for asset in some.assets][-1:] == ["50"]
