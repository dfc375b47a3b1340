"""Each kind of problem, raised by the running app: what the catalogue lists is what happens.

A new kind needs a way to provoke it here.
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
from partner_connector.features.webhooks.repository import MOST_ENDPOINTS
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
    """A running API in front of a connected partner."""

    api: httpx.AsyncClient
    app: FastAPI
    database: Database
    keyring: PublicKeyring
    settings: Settings
    tenant: Tenant
    world: World

    @property
    def partner(self) -> str:
        """The path of the connected partner."""
        return f"/v1/partners/{self.world.ids['ptn']}"

    @property
    def halted(self) -> str:
        """The path of a halted job."""
        return f"/v1/sync-jobs/{self.world.ids['job']}"

    async def add(self, row: Any, prefix: str) -> str:
        """Store a row and answer its id."""
        await rows.store(self.database, row)
        return encode(prefix, row.id)

    async def lonely_partner(self) -> str:
        """The path of a partner without a token."""
        made = await self.add(rows.partner(self.world.integration), "ptn")
        return f"/v1/partners/{made}"

    @asynccontextmanager
    async def configured(self, **values: Any) -> AsyncIterator[httpx.AsyncClient]:
        """A client of the same API with other settings."""
        other = create_app(self.settings.model_copy(update=values), self.keyring)
        async with running(other) as app, client_of(app, self.tenant.api_key) as client:
            yield client


Provoke = Callable[[Scene], Awaitable[httpx.Response]]
WAYS: dict[str, Provoke] = {}


def way(code: str) -> Callable[[Provoke], Provoke]:
    """This is how the problem of this code comes about."""

    def keep(provoke: Provoke) -> Provoke:
        assert code not in WAYS
        WAYS[code] = provoke
        return provoke

    return keep


@way("malformed_request")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.post(
        "/v1/integrations", content=b"{", headers={"Content-Type": "application/json"}
    )


@way("not_authenticated")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.get("/v1/partners", headers={"Authorization": "Bearer pck_none_none"})


@way("code_not_accepted")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.get("/v1/token-requests/current")


@way("scope_missing")
async def _(scene: Scene) -> httpx.Response:
    tenant = await make_tenant(scene.database, scene.keyring, scopes=("users:read",))
    async with client_of(scene.app, tenant.api_key) as client:
        return await client.get("/v1/partners")


@way("scope_not_held")
async def _(scene: Scene) -> httpx.Response:
    tenant = await make_tenant(scene.database, scene.keyring, scopes=("keys:admin",))
    async with client_of(scene.app, tenant.api_key) as client:
        return await client.post("/v1/api-keys", json=KEY)


@way("not_found")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.get("/v1/partners/ptn_01k9z3v0e8fjt9m2c4r6w8xabc")


@way("too_many_streams")
async def _(scene: Scene) -> httpx.Response:
    context: ApiContext = scene.app.state.context
    key = key_id_of(scene.tenant.api_key)
    async with scene.database.reading() as session:
        row = (await session.scalars(select(ApiKey).where(ApiKey.key_id == key))).one()
    with ExitStack() as streams:
        for _ in range(STREAMS_PER_KEY):
            streams.enter_context(context.job_watch.follower(row.id, new_id(), 0))
        return await scene.api.get(f"{scene.halted}/events", headers=ACCEPT)


@way("not_acceptable")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.get("/v1/partner-users", headers={"Accept": "application/xml"})


@way("no_plan")
async def _(scene: Scene) -> httpx.Response:
    job = await scene.add(rows.sync_job(scene.world.partner), "job")
    return await scene.api.get(f"/v1/sync-jobs/{job}/plan")


@way("token_not_connected")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.get(f"{await scene.lonely_partner()}/token")


@way("method_not_allowed")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.delete("/v1/partners")


@way("hand_over_under_way")
async def _(scene: Scene) -> httpx.Response:
    link = await make_link(scene.api, scene.database, scene.world)
    assert (await link.hand_over()).status_code == 202
    return await link.hand_over()


@way("idempotency_in_flight")
async def _(scene: Scene) -> httpx.Response:
    path = f"{scene.partner}/sync-jobs"
    with_key = {"Idempotency-Key": "a"}
    held = asyncio.create_task(scene.api.post(path, headers=with_key | {"Prefer": "wait=30"}))
    async with scene.database.reading() as session:
        while await session.scalar(select(IdempotencyKey.id)) is None:
            await session.rollback()
            await asyncio.sleep(0.02)
    answer = await scene.api.post(path, headers=with_key)
    # As at the end of a process: whoever waits is answered at once.
    scene.app.state.context.draining.set()
    assert (await held).status_code == 202
    return answer


@way("integration_exists")
async def _(scene: Scene) -> httpx.Response:
    business = scene.world.integration.meta_business_id
    body = {"name": "Again", "meta_business_id": business, "access_token": TOKEN}
    return await scene.api.post("/v1/integrations", json=body)


@way("job_already_ended")
async def _(scene: Scene) -> httpx.Response:
    job = await scene.add(rows.sync_job(scene.world.partner), "job")
    return await scene.api.post(f"/v1/sync-jobs/{job}/cancel")


@way("narrowing_changed")
async def _(scene: Scene) -> httpx.Response:
    body = {"narrowed": ["something else"]}
    return await scene.api.post(f"{scene.partner}/token/accept-capabilities", json=body)


@way("nothing_narrowed")
async def _(scene: Scene) -> httpx.Response:
    async with scene.database.writing() as session:
        await session.execute(update(Capability).values(narrowed=[]))
    return await scene.api.post(f"{scene.partner}/token/accept-capabilities")


@way("partner_not_connected")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.post(f"{await scene.lonely_partner()}/sync-jobs")


@way("plan_not_open")
async def _(scene: Scene) -> httpx.Response:
    assert (await scene.api.post(f"{scene.halted}/cancel")).status_code == 200
    return await scene.api.post(f"{scene.halted}/plan/approve")


@way("plan_stale")
async def _(scene: Scene) -> httpx.Response:
    async with scene.database.writing() as session:
        await session.execute(update(SyncJob).values(plan_expires_at=clock.now()))
    return await scene.api.post(f"{scene.halted}/plan/approve")


@way("token_request_ended")
async def _(scene: Scene) -> httpx.Response:
    link = await make_link(scene.api, scene.database, scene.world)
    assert (await link.revoke()).status_code == 204
    return await link.get()


@way("precondition_failed")
async def _(scene: Scene) -> httpx.Response:
    path = f"/v1/integrations/{scene.world.ids['int']}"
    return await scene.api.patch(path, json={"name": "New"}, headers={"If-Match": '"older"'})


@way("body_too_large")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.post("/v1/integrations", json={"name": "x" * 70_000})


@way("unsupported_media_type")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.post(
        "/v1/integrations", content=b"name=x", headers={"Content-Type": "text/plain"}
    )


@way("validation_failed")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.get("/v1/partners", params={"page_size": 0})


@way("idempotency_key_reused")
async def _(scene: Scene) -> httpx.Response:
    with_key = {"Idempotency-Key": "a"}
    assert (await scene.api.post("/v1/api-keys", json=KEY, headers=with_key)).status_code == 201
    other = {**KEY, "name": "another"}
    return await scene.api.post("/v1/api-keys", json=other, headers=with_key)


@way("cursor_invalid")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.get("/v1/partners", params={"cursor": "bm90aGluZw"})


@way("expiry_in_the_past")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.post("/v1/api-keys", json={**KEY, "expires_at": "2020-01-01T00:00:00Z"})


@way("expiry_beyond_caller")
async def _(scene: Scene) -> httpx.Response:
    async with scene.database.writing() as session:
        await session.execute(update(ApiKey).values(expires_at=clock.now() + timedelta(hours=1)))
    return await scene.api.post("/v1/api-keys", json=KEY)


@way("sealed_token_malformed")
async def _(scene: Scene) -> httpx.Response:
    body = {"sealed_token": "AAAA", "key_id": scene.keyring.current.key_id}
    return await scene.api.put(f"{scene.partner}/token", json=body)


@way("sealed_token_required")
async def _(scene: Scene) -> httpx.Response:
    async with scene.configured(require_sealed_tokens=True) as api:
        return await api.put(f"{scene.partner}/token", json={"access_token": TOKEN})


@way("token_form_invalid")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.put(f"{scene.partner}/token", json={})


@way("token_malformed")
async def _(scene: Scene) -> httpx.Response:
    return await scene.api.put(f"{scene.partner}/token", json={"access_token": "in two parts"})


@way("unknown_key_id")
async def _(scene: Scene) -> httpx.Response:
    body = {"sealed_token": "AAAA", "key_id": "sk_0000000000000000"}
    return await scene.api.put(f"{scene.partner}/token", json=body)


@way("webhook_url_refused")
async def _(scene: Scene) -> httpx.Response:
    body = {"url": "https://localhost/hook", "event_types": ["partner.connected"]}
    return await scene.api.post("/v1/webhook-endpoints", json=body)


@way("rate_limited")
async def _(scene: Scene) -> httpx.Response:
    async with scene.configured(rate_limit="1/hour") as api:
        await api.get("/v1/partners")
        return await api.get("/v1/partners")


@way("internal_error")
async def _(scene: Scene) -> httpx.Response:
    async def crash() -> None:
        raise RuntimeError("nobody foresaw this")

    scene.app.add_api_route("/crash", crash)
    return await scene.api.get("/crash")


@way("database_busy")
async def _(scene: Scene) -> httpx.Response:
    async with scene.database.writing() as session:
        await session.execute(text("DROP TABLE audit_events"))
    return await scene.api.get("/v1/audit-events")


@way("webhook_endpoint_limit")
async def _(scene: Scene) -> httpx.Response:
    workspace_id = scene.world.partner.workspace_id
    many = [rows.webhook_endpoint(workspace_id) for _ in range(MOST_ENDPOINTS)]
    await rows.store(scene.database, *many)
    hook = {"url": "https://hooks.example.com/", "event_types": ["partner.connected"]}
    return await scene.api.post("/v1/webhook-endpoints", json=hook)


@way("not_ready")
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
    """One of its own for each problem: some of them are the end of it."""
    return Scene(api, app, database, keyring, settings, tenant, world)


@ONLY_SQLITE
@pytest.mark.parametrize("kind", catalogue(), ids=lambda kind: str(kind.code))
async def test_it_happens(scene: Scene, kind: type[Problem]) -> None:
    """The answer has the status, code and title that the catalogue tells."""
    problem = assert_problem(await WAYS[kind.code](scene), kind.status, kind.code)
    assert problem["title"] == kind.title


def test_no_way_leads_to_what_is_not_listed() -> None:
    """Every kind has its way, and no way is left of a kind that is gone."""
    assert set(WAYS) == {kind.code for kind in catalogue()}


def families() -> Iterator[str]:
    """Kinds without a code of their own, which nobody may raise."""
    known = [Problem]
    while known:
        kind = known.pop()
        known += kind.__subclasses__()
        if "code" not in vars(kind):
            yield kind.__name__


def test_only_kinds_of_the_catalogue_are_raised() -> None:
    """Nothing in the code makes a problem of a mere family."""
    forbidden = set(families())
    assert forbidden
    found = []
    for path in (CHECKOUT / "src" / "partner_connector").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            made = node.exc if isinstance(node, ast.Raise) else node
            name = made.func if isinstance(made, ast.Call) else made
            is_use = isinstance(node, (ast.Raise, ast.Call)) and isinstance(name, ast.Name)
            if is_use and ast.unparse(cast("ast.AST", name)) in forbidden:
                found.append(f"{path.name}: {ast.unparse(node)}")
    assert found == []


def test_the_page_of_the_documentation() -> None:
    """`docs/problems.md` is what the code generates: run `make openapi` when this fails."""
    page = (CHECKOUT / "docs" / "problems.md").read_text(encoding="utf-8")
    assert page == problem_page.markdown()


@ONLY_SQLITE
async def test_a_type_leads_to_its_explanation(api: httpx.AsyncClient) -> None:
    """What a browser is shown has each code as an anchor; a program gets the same as JSON."""
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Authorization": ""}
    page = await api.get("/v1/problems", headers=browser)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'none'" in page.headers["content-security-policy"]
    items = (await api.get("/v1/problems", headers={"Authorization": ""})).json()["items"]
    for item in items:
        assert f'<section id="{item["type"].split("#")[1]}">' in page.text
        assert item["when"].endswith(".")
    assert page.headers["vary"] == "Accept"
