"""Lists page by page: every row once and in order; a cursor fits one list and one query."""

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
    """Read every page of a list."""
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
async def test_small_pages_add_up_to_the_whole_list(
    api: httpx.AsyncClient,
    database: Database,
    workspace_id: UUID,
    seed: Seed,
    orders: Sequence[dict[str, str]],
) -> None:
    """Expect each row once and in the order of one large page, also where sort values are equal."""
    path = await seed(database, workspace_id, ROWS)
    for params in orders:
        [one_page] = await walk(api, path, params, 100)
        assert len({json.dumps(item) for item in one_page}) == ROWS
        for size in (1, 3, ROWS):
            pages = await walk(api, path, params, size)
            assert [item for page in pages for item in page] == one_page
            assert [len(page) for page in pages[:-1]] == [size] * (len(pages) - 1)
            assert len(pages) == -(-ROWS // size)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_partners_are_sorted_by_the_given_member(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Expect `-` to reverse the order."""
    path = await seed_partners(database, workspace_id, ROWS)
    for sort in ("name", "-name", "created_at", "-created_at"):
        [items] = await walk(api, path, {"sort": sort}, 100)
        values = [item[sort.removeprefix("-")] for item in items]
        assert values == sorted(values, reverse=sort.startswith("-")), sort
        assert len(set(values)) > 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_page_holds_25_items_by_default(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    path = await seed_integrations(database, workspace_id, 26)
    page = (await api.get(path)).json()
    assert len(page["items"]) == 25
    assert page["next_cursor"] is not None


async def test_added_or_deleted_rows_do_not_shift_the_pages(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Add a row before the cursor and delete the row at it; no other row is repeated or skipped."""
    path = await seed_integrations(database, workspace_id, 4)
    first = (await api.get(path, params={"page_size": 2})).json()
    answer = await api.delete(f"{path}/{first['items'][1]['id']}")
    assert answer.status_code == 204
    await rows.store(database, rows.integration(workspace_id, id=UUID(int=1)))
    second = (await api.get(path, params={"cursor": first["next_cursor"]})).json()
    all_items = (await api.get(path)).json()["items"]
    assert second["items"] == all_items[2:]
    assert len(second["items"]) == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_cursor_is_refused_with_other_filters_or_sort(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
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
async def test_cursor_is_refused_by_other_lists_and_workspaces(
    app: FastAPI,
    api: httpx.AsyncClient,
    database: Database,
    workspace_id: UUID,
    other_tenant: Tenant,
) -> None:
    path = await seed_partners(database, workspace_id, ROWS)
    cursor = (await api.get(path, params={"page_size": 2})).json()["next_cursor"]
    other_list = await api.get("/v1/integrations", params={"cursor": cursor})
    async with client_of(app, other_tenant.api_key) as client:
        other_workspace = await client.get(path, params={"cursor": cursor})
    same_query = await api.get(path, params={"cursor": cursor, "page_size": 5})
    assert [other_list.status_code, other_workspace.status_code, same_query.status_code] == [
        422,
        422,
        200,
    ]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_tampered_cursor_is_refused(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Change, cut or add characters of a cursor."""
    path = await seed_partners(database, workspace_id, ROWS)
    cursor = (await api.get(path, params={"page_size": 2})).json()["next_cursor"]
    tampered_cursors = [cursor[:-4], cursor + "AAAA", "A" + cursor, cursor.swapcase()]
    for place in range(0, len(cursor) - 1, 7):
        other = "A" if cursor[place] != "A" else "B"
        tampered_cursors.append(cursor[:place] + other + cursor[place + 1 :])
    for text in tampered_cursors:
        answer = await api.get(path, params={"cursor": text})
        assert answer.status_code == 422
        assert answer.json()["code"] == "cursor_invalid"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ["\u6f22" * 500, "\U0001f980" * 500, "n" * 500])
@pytest.mark.parametrize("path", ["/v1/partners", "/v1/partner-users"])
async def test_list_sorted_by_name_pages_through_longest_names(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID, path: str, name: str
) -> None:
    """Use names of 500 characters that take one, three and four bytes each."""
    integration = rows.integration(workspace_id)
    partners = [rows.partner(integration, name=name) for _ in range(2)]
    users = [rows.partner_user(partners[0], name=name) for _ in range(2)]
    await rows.store(database, integration, *partners, *users)
    pages = await walk(api, path, {}, 1)
    assert [len(page) for page in pages] == [1, 1]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_link_header_leads_to_the_next_page(
    api: httpx.AsyncClient, database: Database, workspace_id: UUID
) -> None:
    """Expect the same filters in the link, and no link on the last page."""
    path = await seed_partners(database, workspace_id, 3)
    answer = await api.get(path, params={"page_size": 2, "sort": "-name", "q": "Partner"})
    target, relation = answer.headers["link"].split(";")
    assert relation.strip() == 'rel="next"'
    following = await api.get(target.strip().strip("<>"))
    assert following.status_code == 200
    assert len(following.json()["items"]) == 1
    assert "link" not in following.headers
