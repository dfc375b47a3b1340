"""Lists: every row once, in order, however many pages; and cursors that fit nowhere else."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from partner_connector.db.engine import Database
from tests.api import rows
from tests.api.lists import LISTS, Seed, seed_integrations, seed_partners
from tests.support.clients import Tenant, client_of

ROWS = 7


async def walk(
    client: httpx.AsyncClient, path: str, params: dict[str, str], size: int
) -> list[list[dict[str, Any]]]:
    """Every page of a list."""
    pages = []
    cursor: str | None = None
    while True:
        position = {} if cursor is None else {"cursor": cursor}
        answer = await client.get(path, params={**params, **position, "page_size": size})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        pages.append(page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            return pages


@pytest.mark.parametrize(("seed", "orders"), LISTS)
async def test_pages_add_up_to_the_list(
    api: httpx.AsyncClient,
    database: Database,
    workspace_id: UUID,
    seed: Seed,
    orders: Sequence[dict[str, str]],
) -> None:
    """Small pages give each row once and in the order of one large page, on ties too."""
    path = await seed(database, workspace_id, ROWS)
    for params in orders:
        [whole] = await walk(api, path, params, 100)
        assert len({json.dumps(item) for item in whole}) == ROWS
        for size in (1, 3, ROWS):
            pages = await walk(api, path, params, size)
            assert [item for page in pages for item in page] == whole
            assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
            assert len(pages) == -(-ROWS // size)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_partners_are_sorted(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """`sort` orders by the member that it names, `-` turns the order round."""
    path = await seed_partners(database, workspace_id, ROWS)
    for sort in ("name", "-name", "created_at", "-created_at"):
        [items] = await walk(api, path, {"sort": sort}, 100)
        values = [item[sort.removeprefix("-")] for item in items]
        assert values == sorted(values, reverse=sort.startswith("-")), sort
        assert len(set(values)) > 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_page_holds_25_by_default(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Whoever says nothing gets 25 items and a cursor."""
    path = await seed_integrations(database, workspace_id, 26)
    page = (await api.get(path)).json()
    assert len(page["items"]) == 25
    assert page["next_cursor"] is not None


async def test_rows_that_arrive_or_go_do_not_shift_the_pages(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """A row added before the cursor, or deleted at it, makes no other row come twice or never."""
    path = await seed_integrations(database, workspace_id, 4)
    first = (await api.get(path, params={"page_size": 2})).json()
    answer = await api.delete(f"{path}/{first['items'][1]['id']}")
    assert answer.status_code == 204
    await rows.store(database, rows.integration(workspace_id, id=UUID(int=1)))
    second = (await api.get(path, params={"cursor": first["next_cursor"]})).json()
    everything = (await api.get(path)).json()["items"]
    assert second["items"] == everything[2:]
    assert len(second["items"]) == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_cursor_is_bound_to_filters_and_sort(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """With another filter or order the same cursor is refused, not silently misread."""
    path = await seed_partners(database, workspace_id, ROWS)
    cursor = (await api.get(path, params={"page_size": 2})).json()["next_cursor"]
    for changed in (
        {"q": "Partner"},
        {"sort": "-name"},
        {"sort": "created_at"},
        {"presence": "listed"},
        {"relationship": "agency"},
        {"onboarding_status": "pending_onboarding"},
    ):
        answer = await api.get(path, params={"cursor": cursor, **changed})
        assert answer.status_code == 422, changed
        assert answer.json()["code"] == "cursor_invalid"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_cursor_is_bound_to_its_list_and_workspace(
    app: FastAPI,
    api: httpx.AsyncClient,
    database: Database,
    workspace_id: UUID,
    stranger: Tenant,
) -> None:
    """Another list and another workspace refuse it too."""
    path = await seed_partners(database, workspace_id, ROWS)
    cursor = (await api.get(path, params={"page_size": 2})).json()["next_cursor"]
    elsewhere = await api.get("/v1/integrations", params={"cursor": cursor})
    async with client_of(app, stranger.api_key) as client:
        theirs = await client.get(path, params={"cursor": cursor})
    own = await api.get(path, params={"cursor": cursor, "page_size": 5})
    assert [elsewhere.status_code, theirs.status_code, own.status_code] == [422, 422, 200]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_tampered_cursor_is_refused(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Whichever character is changed, cut or added, the cursor no longer opens."""
    path = await seed_partners(database, workspace_id, ROWS)
    cursor = (await api.get(path, params={"page_size": 2})).json()["next_cursor"]
    tampered = [cursor[:-4], cursor + "AAAA", "A" + cursor, cursor.swapcase()]
    for place in range(0, len(cursor) - 1, 7):
        other = "A" if cursor[place] != "A" else "B"
        tampered.append(cursor[:place] + other + cursor[place + 1 :])
    for text in tampered:
        answer = await api.get(path, params={"cursor": text})
        assert answer.status_code == 422
        assert answer.json()["code"] == "cursor_invalid"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ["\u6f22" * 500, "\U0001f980" * 500, "n" * 500])
@pytest.mark.parametrize("path", ["/v1/partners", "/v1/partner-users"])
async def test_long_names_page_too(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID, path: str, name: str
) -> None:
    """A list sorted by name pages through names of the longest kind, in any script."""
    ours = rows.integration(workspace_id)
    partners = [rows.partner(ours, name=name) for _ in range(2)]
    users = [rows.partner_user(partners[0], name=name) for _ in range(2)]
    await rows.store(database, ours, *partners, *users)
    pages = await walk(api, path, {}, 1)
    assert [len(page) for page in pages] == [1, 1]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_next_page_is_linked(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """`Link: rel="next"` leads to the next page with the same filters, and ends with the list."""
    path = await seed_partners(database, workspace_id, 3)
    answer = await api.get(path, params={"page_size": 2, "sort": "-name", "q": "Partner"})
    target, relation = answer.headers["link"].split(";")
    assert relation.strip() == 'rel="next"'
    following = await api.get(target.strip().strip("<>"))
    assert following.status_code == 200
    assert len(following.json()["items"]) == 1
    assert "link" not in following.headers
