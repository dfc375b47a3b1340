"""Every kind of problem of the catalogue, provoked in the running app.

A new kind of problem needs a function here that provokes it.
"""

import ast
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, text, update

from partner_connector import clock
from partner_connector.api.app import create_app
from partner_connector.api.system import problem_page
from partner_connector.credentials import key_id_of
from partner_connector.db.engine import Database
from partner_connector.db.models import ApiKey, Capability, IdempotencyKey, SyncJob
from partner_connector.errors import Problem, catalogue
from partner_connector.features.sync_jobs.events.stream import STREAMS_PER_KEY
from partner_connector.features.webhooks.repository import MAX_ENDPOINTS
from partner_connector.ids import encode, new_id
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from partner_connector.web.context import ApiContext
from tests.api import rows
from tests.api.hand_over import make_link
from tests.api.problems import assert_problem
from tests.api.surface import TOKEN
from tests.api.world import World
from tests.support.clients import Tenant, client_of, make_tenant, running
from tests.support.event_streams import ACCEPT

CHECKOUT = Path(__file__).parents[2]
ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
KEY = {"name": "ci", "scopes": ["users:read"]}


@dataclass(frozen=True, slots=True)
class Scene:
    """Running API with a connected partner."""

    api: httpx.AsyncClient
    app: FastAPI
    database: Database
    keyring: PublicKeyring
    settings: Settings
    tenant: Tenant
    world: World

    @property
    def partner(self) -> str:
        """Path of the connected partner."""
        return f"/v1/partners/{self.world.ids['ptn']}"

    @property
    def halted(self) -> str:
        """Path of a halted job."""
        return f"/v1/sync-jobs/{self.world.ids['job']}"

    async def add(self, row: Any, prefix: str) -> str:
        """Store a row and return its id."""
        await rows.store(self.database, row)
        return encode(prefix, row.id)

    async def partner_without_token(self) -> str:
        """Store a partner without a token and return its path."""
        partner_id = await self.add(rows.partner(self.world.integration), "ptn")
        return f"/v1/partners/{partner_id}"

    @asynccontextmanager
    async def configured(self, **values: Any) -> AsyncIterator[httpx.AsyncClient]:
        """Yield a client of the same API with other settings."""
        other = create_app(self.settings.model_copy(update=values), self.keyring)
        async with running(other) as app, client_of(app, self.tenant.api_key) as client:
            yield client


Provoke = Callable[[Scene], Awaitable[httpx.Response]]
PROVOKED_BY: dict[str, Provoke] = {}


def provokes(code: str) -> Callable[[Provoke], Provoke]:
    """Register the function that provokes the problem of this code."""

    def register(provoke: Provoke) -> Provoke:
        assert code not in PROVOKED_BY
        PROVOKED_BY[code] = provoke
        return provoke

    return register


@provokes("malformed_request")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.post(
        "/v1/integrations", content=b"{", headers={"Content-Type": "application/json"}
    )


@provokes("not_authenticated")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.get("/v1/partners", headers={"Authorization": "Bearer pck_none_none"})


@provokes("code_not_accepted")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.get("/v1/token-requests/current")


@provokes("scope_missing")
async def _(scene: Scene) -> httpx.Response:
    tenant = await make_tenant(scene.database, scene.keyring, scopes=("users:read",))
    async with client_of(scene.app, tenant.api_key) as client:
        return await client.get("/v1/partners")


@provokes("scope_not_held")
async def _(scene: Scene) -> httpx.Response:
    tenant = await make_tenant(scene.database, scene.keyring, scopes=("keys:admin",))
    async with client_of(scene.app, tenant.api_key) as client:
        return await client.post("/v1/api-keys", json=KEY)


@provokes("not_found")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.get("/v1/partners/ptn_01k9z3v0e8fjt9m2c4r6w8xabc")


@provokes("too_many_streams")
async def _(scene: Scene) -> httpx.Response:
    context: ApiContext = scene.app.state.context
    key = key_id_of(scene.tenant.api_key)
    async with scene.database.reading() as session:
        row = (await session.scalars(select(ApiKey).where(ApiKey.key_id == key))).one()
    with ExitStack() as streams:
        for _ in range(STREAMS_PER_KEY):
            streams.enter_context(context.job_watch.follower(row.id, new_id(), 0))
        return await scene.api.get(f"{scene.halted}/events", headers=ACCEPT)


@provokes("not_acceptable")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.get("/v1/partner-users", headers={"Accept": "application/xml"})


@provokes("no_plan")
async def _(scene: Scene) -> httpx.Response:
    job = await scene.add(rows.sync_job(scene.world.partner), "job")
    return await scene.api.get(f"/v1/sync-jobs/{job}/plan")


@provokes("token_not_connected")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.get(f"{await scene.partner_without_token()}/token")


@provokes("method_not_allowed")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.delete("/v1/partners")


@provokes("hand_over_under_way")
async def _(scene: Scene) -> httpx.Response:
    link = await make_link(scene.api, scene.database, scene.world)
    assert (await link.hand_over()).status_code == 202
    return await link.hand_over()


@provokes("idempotency_in_flight")
async def _(scene: Scene) -> httpx.Response:
    path = f"{scene.partner}/sync-jobs"
    with_key = {"Idempotency-Key": "a"}
    waiting = asyncio.create_task(scene.api.post(path, headers=with_key | {"Prefer": "wait=30"}))
    async with scene.database.reading() as session:
        while await session.scalar(select(IdempotencyKey.id)) is None:
            await session.rollback()
            await asyncio.sleep(0.02)
    answer = await scene.api.post(path, headers=with_key)
    # Stop like at the end of a process: waiting requests are answered at once.
    scene.app.state.context.stopping.set()
    assert (await waiting).status_code == 202
    return answer


@provokes("integration_exists")
async def _(scene: Scene) -> httpx.Response:
    business = scene.world.integration.meta_business_id
    body = {"name": "Again", "meta_business_id": business, "access_token": TOKEN}
    return await scene.api.post("/v1/integrations", json=body)


@provokes("job_already_ended")
async def _(scene: Scene) -> httpx.Response:
    job = await scene.add(rows.sync_job(scene.world.partner), "job")
    return await scene.api.post(f"/v1/sync-jobs/{job}/cancel")


@provokes("narrowing_changed")
async def _(scene: Scene) -> httpx.Response:
    body = {"narrowed": ["something else"]}
    return await scene.api.post(f"{scene.partner}/token/accept-capabilities", json=body)


@provokes("nothing_narrowed")
async def _(scene: Scene) -> httpx.Response:
    async with scene.database.writing() as session:
        await session.execute(update(Capability).values(narrowed=[]))
    return await scene.api.post(f"{scene.partner}/token/accept-capabilities")


@provokes("partner_not_connected")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.post(f"{await scene.partner_without_token()}/sync-jobs")


@provokes("plan_not_open")
async def _(scene: Scene) -> httpx.Response:
    assert (await scene.api.post(f"{scene.halted}/cancel")).status_code == 200
    return await scene.api.post(f"{scene.halted}/plan/approve")


@provokes("plan_stale")
async def _(scene: Scene) -> httpx.Response:
    async with scene.database.writing() as session:
        await session.execute(update(SyncJob).values(plan_expires_at=clock.now()))
    return await scene.api.post(f"{scene.halted}/plan/approve")


@provokes("token_request_ended")
async def _(scene: Scene) -> httpx.Response:
    link = await make_link(scene.api, scene.database, scene.world)
    assert (await link.revoke()).status_code == 204
    return await link.get()


@provokes("precondition_failed")
async def _(scene: Scene) -> httpx.Response:
    path = f"/v1/integrations/{scene.world.ids['int']}"
    return await scene.api.patch(path, json={"name": "New"}, headers={"If-Match": '"older"'})


@provokes("body_too_large")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.post("/v1/integrations", json={"name": "x" * 70_000})


@provokes("unsupported_media_type")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.post(
        "/v1/integrations", content=b"name=x", headers={"Content-Type": "text/plain"}
    )


@provokes("validation_failed")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.get("/v1/partners", params={"page_size": 0})


@provokes("idempotency_key_reused")
async def _(scene: Scene) -> httpx.Response:
    with_key = {"Idempotency-Key": "a"}
    assert (await scene.api.post("/v1/api-keys", json=KEY, headers=with_key)).status_code == 201
    other = {**KEY, "name": "another"}
    return await scene.api.post("/v1/api-keys", json=other, headers=with_key)


@provokes("cursor_invalid")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.get("/v1/partners", params={"cursor": "bm90aGluZw"})


@provokes("expiry_in_the_past")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.post("/v1/api-keys", json={**KEY, "expires_at": "2020-01-01T00:00:00Z"})


@provokes("expiry_beyond_caller")
async def _(scene: Scene) -> httpx.Response:
    async with scene.database.writing() as session:
        await session.execute(update(ApiKey).values(expires_at=clock.now() + timedelta(hours=1)))
    return await scene.api.post("/v1/api-keys", json=KEY)


@provokes("sealed_token_malformed")
async def _(scene: Scene) -> httpx.Response:
    body = {"sealed_token": "AAAA", "key_id": scene.keyring.current.key_id}
    return await scene.api.put(f"{scene.partner}/token", json=body)


@provokes("sealed_token_required")
async def _(scene: Scene) -> httpx.Response:
    async with scene.configured(require_sealed_tokens=True) as api:
        return await api.put(f"{scene.partner}/token", json={"access_token": TOKEN})


@provokes("token_form_invalid")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.put(f"{scene.partner}/token", json={})


@provokes("token_malformed")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.put(f"{scene.partner}/token", json={"access_token": "in two parts"})


@provokes("unknown_key_id")
async def _(scene: Scene) -> httpx.Response:
    body = {"sealed_token": "AAAA", "key_id": "sk_0000000000000000"}
    return await scene.api.put(f"{scene.partner}/token", json=body)


@provokes("webhook_url_refused")
async def _(scene: Scene) -> httpx.Response:
    body = {"url": "https://localhost/hook", "event_types": ["partner.connected"]}
    return await scene.api.post("/v1/webhook-endpoints", json=body)


@provokes("rate_limited")
async def _(scene: Scene) -> httpx.Response:
    async with scene.configured(rate_limit="1/hour") as api:
        await api.get("/v1/partners")
        return await api.get("/v1/partners")


@provokes("internal_error")
async def _(scene: Scene) -> httpx.Response:
    async def crash() -> None:
        raise RuntimeError("unforeseen failure")

    scene.app.add_api_route("/crash", crash)
    return await scene.api.get("/crash")


@provokes("database_busy")
async def _(scene: Scene) -> httpx.Response:
    async with scene.database.writing() as session:
        await session.execute(text("DROP TABLE audit_events"))
    return await scene.api.get("/v1/audit-events")


@provokes("webhook_endpoint_limit")
async def _(scene: Scene) -> httpx.Response:
    workspace_id = scene.world.partner.workspace_id
    many = [rows.webhook_endpoint(workspace_id) for _ in range(MAX_ENDPOINTS)]
    await rows.store(scene.database, *many)
    endpoint = {"url": "https://hooks.example.com/", "event_types": ["partner.connected"]}
    return await scene.api.post("/v1/webhook-endpoints", json=endpoint)


@provokes("not_ready")
async def _(scene: Scene) -> httpx.Response:
    async with scene.database.writing() as session:
        await session.execute(text("DELETE FROM alembic_version"))
    return await scene.api.get("/readyz")


@pytest.fixture
def scene(
    api: httpx.AsyncClient,
    app: FastAPI,
    database: Database,
    keyring: PublicKeyring,
    settings: Settings,
    tenant: Tenant,
    world: World,
) -> Scene:
    """New scene for each problem, because some problems break the API."""
    return Scene(api, app, database, keyring, settings, tenant, world)


@ONLY_SQLITE
@pytest.mark.parametrize("kind", catalogue(), ids=lambda kind: str(kind.code))
async def test_problem_has_status_code_and_title_of_the_catalogue(
    scene: Scene, kind: type[Problem]
) -> None:
    problem = assert_problem(await PROVOKED_BY[kind.code](scene), kind.status, kind.code)
    assert problem["title"] == kind.title


def test_each_kind_of_problem_is_provoked_here() -> None:
    assert set(PROVOKED_BY) == {kind.code for kind in catalogue()}


def classes_without_code() -> Iterator[str]:
    """Yield the names of the problem classes without a code, which must not be raised."""
    remaining = [Problem]
    while remaining:
        kind = remaining.pop()
        remaining += kind.__subclasses__()
        if "code" not in vars(kind):
            yield kind.__name__


def test_only_kinds_of_the_catalogue_are_raised() -> None:
    """Search the code for uses of a class that has no code."""
    forbidden = set(classes_without_code())
    assert forbidden
    found = []
    for path in (CHECKOUT / "src" / "partner_connector").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            used = node.exc if isinstance(node, ast.Raise) else node
            name = used.func if isinstance(used, ast.Call) else used
            is_use = isinstance(node, (ast.Raise, ast.Call)) and isinstance(name, ast.Name)
            if is_use and ast.unparse(cast("ast.AST", name)) in forbidden:
                found.append(f"{path.name}: {ast.unparse(node)}")
    assert found == []


def test_problems_page_is_generated_from_the_code() -> None:
    """Run `make openapi` if this test fails."""
    page = (CHECKOUT / "docs" / "reference" / "problems.md").read_text(encoding="utf-8")
    assert page == problem_page.markdown()


@ONLY_SQLITE
async def test_problem_type_leads_to_its_section_of_the_page(api: httpx.AsyncClient) -> None:
    """Expect an anchor for each code in HTML, and the same list as JSON."""
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Authorization": ""}
    page = await api.get("/v1/problems", headers=browser)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'none'" in page.headers["content-security-policy"]
    items = (await api.get("/v1/problems", headers={"Authorization": ""})).json()["items"]
    for item in items:
        assert f'<section id="{item["type"].split("#")[1]}">' in page.text
        assert item["when"].endswith(".")
    assert page.headers["vary"] == "Accept"
