"""What holds for every list of the document: its cost, and that it answers what it declares."""

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from sqlalchemy import Engine, event

from partner_connector.api.routes import ROUTERS
from partner_connector.db.engine import Database
from partner_connector.db.reads import Query, Rows, SqliteReads
from tests.api.lists import LISTS, Seed
from tests.api.surface import DOCUMENT

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ROUTES: dict[str, APIRoute] = {
    route.path: route
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute) and "GET" in (route.methods or ())
}
DOCUMENTED: set[str] = {
    path
    for path, item in DOCUMENT["paths"].items()
    if any(each["name"] == "cursor" for each in item.get("get", {}).get("parameters", []))
}


def template_of(path: str) -> str:
    """The path of the document that this is one of."""
    [found] = [
        template
        for template in DOCUMENTED
        if len(template.split("/")) == len(path.split("/"))
        and all(
            there.startswith("{") or there == here
            for there, here in zip(template.split("/"), path.split("/"), strict=True)
        )
    ]
    return found


@ONLY_SQLITE
async def test_every_list_is_tested(database: Database, workspace_id: UUID) -> None:
    """What has a cursor in the document has rows in these tests."""
    seeded = {template_of(await seed(database, workspace_id, 2)) for seed, _ in LISTS}
    assert seeded == DOCUMENTED


@pytest.mark.parametrize(("seed", "orders"), LISTS)
async def test_a_list_is_what_it_declares(
    api: httpx.AsyncClient,
    database: Database,
    workspace_id: UUID,
    seed: Seed,
    orders: Sequence[dict[str, str]],
) -> None:
    """Read by the model that the operation declares and written again, each page is the same."""
    path = await seed(database, workspace_id, 5)
    model = ROUTES[template_of(path)].response_model
    for params in orders:
        answer = await api.get(path, params={**params, "page_size": 3})
        assert answer.headers["content-type"] == "application/json"
        page = TypeAdapter[Any](model).validate_json(answer.content)
        assert json.loads(TypeAdapter[Any](model).dump_json(page)) == answer.json()


@ONLY_SQLITE
@pytest.mark.parametrize(("seed", "orders"), LISTS)
async def test_a_list_costs_the_same_whatever_its_size(
    api: httpx.AsyncClient,
    database: Database,
    workspace_id: UUID,
    seed: Seed,
    orders: Sequence[dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The number of SQL statements does not grow with the page, and reading begins no transaction:
    the key, the list, and at most two more.
    """
    path = await seed(database, workspace_id, 12)
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        statements.append(statement)

    small_read = SqliteReads.rows

    async def noted(reads: SqliteReads, query: Query, values: Mapping[str, Any]) -> Rows:
        statements.append(str(query))
        return await small_read(reads, query, values)

    monkeypatch.setattr(SqliteReads, "rows", noted)
    event.listen(Engine, "before_cursor_execute", note)
    try:
        for params in orders:
            counts = []
            for size in (1, 12):
                statements.clear()
                answer = await api.get(path, params={**params, "page_size": size})
                assert len(answer.json()["items"]) == size
                assert all(text.lstrip().startswith("SELECT") for text in statements)
                counts.append(len(statements))
            assert 2 <= counts[0] == counts[1] <= 4, (path, params)
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_nothing_takes_a_thread() -> None:
    """FastAPI runs what is not `async` in a thread, which costs more than all that it does."""

    def calls(dependant: Dependant) -> Iterator[Any]:
        yield dependant.call
        for needed in dependant.dependencies:
            yield from calls(needed)

    routes = [each for router in ROUTERS for each in router.routes if isinstance(each, APIRoute)]
    assert len(routes) > 40
    for call in {call for route in routes for call in calls(route.dependant)}:
        plain = call if inspect.isfunction(call) else call.__call__
        assert inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain), call
