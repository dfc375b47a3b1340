"""Shared assets with their users in the rows, and the separate reads where that fails."""

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

OWN_BUSINESS, PARTNER = "100", "900"
PIXEL = {"id": "50", "name": "Pixel", "owner_business": {"id": OWN_BUSINESS}}
EMPTY: dict[str, Any] = {"code": 200, "body": '{"data":[]}'}
TOO_MUCH = "Please reduce the amount of data you're asking for"


def failed_item(code: int, message: str = "No", **more: object) -> dict[str, Any]:
    """Return one failed read of a batch."""
    return {"code": 400, "body": json.dumps({"error": {"code": code, "message": message, **more}})}


async def read_pixels(meta: Meta) -> tuple[list[SharedAssets], GraphError | None]:
    """Read the four edges, where only the last one fails, and return its assets and the error."""
    reader = meta.client().reader(TOKEN)
    reads = reads_with_people(PARTNER)
    found: list[SharedAssets] = []
    raised = None
    try:
        first_pages = await reader.batch([first_page(read) for read in reads])
        shares = shared_assets(
            reader, first_pages, owned_by=OWN_BUSINESS, direction=OURS_TO_PARTNER
        )
        found.extend([share async for share in shares])
    except GraphError as failure:
        raised = failure
    return [share for share in found if share.edge == "client_pixels"], raised


@pytest.mark.parametrize(
    ("failure", "repeats", "is_stored"),
    [
        (failed_item(100, "(#100) Tried accessing nonexisting field"), 0, True),
        (failed_item(200), 0, True),
        (failed_item(368), 0, True),
        (failed_item(99999), 0, True),
        (failed_item(2), 2, False),
        (failed_item(200, is_transient=True), 2, False),
    ],
)
async def test_rows_that_cannot_include_users_are_read_without_them(
    failure: dict[str, Any], repeats: int, is_stored: bool
) -> None:
    """Record only errors that will not pass."""
    again: list[Reply] = [reply([failure])] * repeats
    meta = Meta(reply([EMPTY, EMPTY, EMPTY, failure]), *again, reply({"data": [PIXEL]}))

    found, raised = await read_pixels(meta)

    assert raised is None
    assert [asset.meta_id for share in found for asset in share.assets] == ["50"]
    assert [share.nested_refused for share in found] == [is_stored]
    assert "assigned_users" not in meta.urls[-1]


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(failed_item(190, error_subcode=463), TokenDead), (failed_item(17), GraphError)],
)
async def test_error_that_affects_all_reads_is_raised_at_once(
    failure: dict[str, Any], kind: type[GraphError]
) -> None:
    """Try no other way after a dead token or throttling."""
    meta = Meta(reply([EMPTY, EMPTY, EMPTY, failure]))

    _, raised = await read_pixels(meta)

    assert isinstance(raised, kind)
    assert len(meta.requests) == 1


async def test_edge_refused_with_and_without_users_is_unknown() -> None:
    """Do not treat the edge as empty, and do not record a refusal of its users."""
    meta = Meta(reply([EMPTY, EMPTY, EMPTY, failed_item(200)]), error(200))

    (found,), raised = await read_pixels(meta)

    assert raised is None
    assert found.refusal is not None
    assert not found.nested_refused


async def test_rows_too_large_with_users_are_read_without_them() -> None:
    """Halve the page down to one row first."""
    small = [reply({"error": {"code": 1, "message": TOO_MUCH}}, 500)] * 12
    meta = Meta(
        reply([EMPTY, EMPTY, EMPTY, failed_item(1, TOO_MUCH)]),
        reply([failed_item(1, TOO_MUCH)]),
        *small,
        lambda request: (
            reply({"error": {"code": 1, "message": TOO_MUCH}}, 500)
            if "assigned_users" in str(request.url)
            else reply({"data": [PIXEL]})
        ),
    )

    found, raised = await read_pixels(meta)

    assert raised is None
    assert [asset.meta_id for share in found for asset in share.assets][-1:] == ["50"]
