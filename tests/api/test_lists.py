"""Rules for every list of the document: its SQL statements and its response model."""

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
    """Return the document's path template that matches `path`."""
    [found] = [
        template
        for template in DOCUMENTED
        if len(template.split("/")) == len(path.split("/"))
        and all(
            declared.startswith("{") or declared == given
            for declared, given in zip(template.split("/"), path.split("/"), strict=True)
        )
    ]
    return found


@ONLY_SQLITE
async def test_every_list_of_the_document_is_seeded(database: Database, workspace_id: UUID) -> None:
    seeded = {template_of(await seed(database, workspace_id, 2)) for seed, _ in LISTS}
    assert seeded == DOCUMENTED


@pytest.mark.parametrize(("seed", "orders"), LISTS)
async def test_page_matches_declared_response_model(
    api: httpx.AsyncClient,
    database: Database,
    workspace_id: UUID,
    seed: Seed,
    orders: Sequence[dict[str, str]],
) -> None:
    """Parse each page with the operation's response model and compare it with its own dump."""
    path = await seed(database, workspace_id, 5)
    model = ROUTES[template_of(path)].response_model
    for params in orders:
        answer = await api.get(path, params={**params, "page_size": 3})
        assert answer.headers["content-type"] == "application/json"
        page = TypeAdapter[Any](model).validate_json(answer.content)
        assert json.loads(TypeAdapter[Any](model).dump_json(page)) == answer.json()


@ONLY_SQLITE
@pytest.mark.parametrize(("seed", "orders"), LISTS)
async def test_statement_count_does_not_grow_with_page_size(
    api: httpx.AsyncClient,
    database: Database,
    workspace_id: UUID,
    seed: Seed,
    orders: Sequence[dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Expect the API key, the list and at most two more SELECTs, and no transaction."""
    path = await seed(database, workspace_id, 12)
    statements: list[str] = []

    def record_statement(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        statements.append(statement)

    original_rows = SqliteReads.rows

    async def recorded_rows(reads: SqliteReads, query: Query, values: Mapping[str, Any]) -> Rows:
        statements.append(str(query))
        return await original_rows(reads, query, values)

    monkeypatch.setattr(SqliteReads, "rows", recorded_rows)
    event.listen(Engine, "before_cursor_execute", record_statement)
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
        event.remove(Engine, "before_cursor_execute", record_statement)


def test_no_route_or_dependency_runs_in_a_thread() -> None:
    """Refuse synchronous functions: FastAPI runs each in a thread, which costs time."""

    def calls(dependant: Dependant) -> Iterator[Any]:
        yield dependant.call
        for dependency in dependant.dependencies:
            yield from calls(dependency)

    routes = [each for router in ROUTERS for each in router.routes if isinstance(each, APIRoute)]
    assert len(routes) > 40
    for call in {call for route in routes for call in calls(route.dependant)}:
        function = call if inspect.isfunction(call) else call.__call__
        assert inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function), call
