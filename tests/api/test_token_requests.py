"""One-time links: their creation, what is stored, and what the partner's admin sees."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from partner_connector import credentials
from partner_connector.api.app import create_app
from partner_connector.db.engine import Database
from partner_connector.graph import REQUIRED_SCOPES
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from tests.api import rows
from tests.api.hand_over import Link, make_link
from tests.api.problems import assert_problem
from tests.api.surface import TOKEN
from tests.api.world import World, rows_of_workspace
from tests.support.clients import Tenant, client_of, running

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CURRENT = "/v1/token-requests/current"


@pytest.fixture
async def link(api: httpx.AsyncClient, database: Database, world: World) -> Link:
    """New link for the world's partner."""
    return await make_link(api, database, world)


async def test_code_is_returned_once_and_not_stored(
    api: httpx.AsyncClient, database: Database, world: World, workspace_id: UUID
) -> None:
    """Expect neither code nor link in any later answer or row."""
    path = f"/v1/partners/{world.ids['ptn']}/token-requests"
    answer = await api.post(path, json={"expires_in_seconds": 3600, "note": "by mail"})
    assert answer.status_code == 201
    created: dict[str, Any] = answer.json()
    code = created.pop("code")
    assert created.pop("url") == f"http://testserver/connect#{code}"
    assert credentials.key_id_of(code, credentials.CODE_PREFIX)
    assert (created["state"], created["note"], created["tries_left"]) == ("open", "by mail", 5)
    assert (await api.get(answer.headers["location"])).json() == created
    assert (await api.get(path)).json()["items"] == [created]
    async with database.reading() as session:
        stored = repr(await rows_of_workspace(session, workspace_id))
    assert code not in stored
    assert code.split("_")[2] not in stored


@ONLY_SQLITE
async def test_link_starts_with_public_url(
    database: Database, settings: Settings, keyring: PublicKeyring, tenant: Tenant, world: World
) -> None:
    """Set `public_url`, as behind a proxy."""
    behind_proxy = settings.model_copy(update={"public_url": "https://meta.example.com/pc"})
    async with (
        running(create_app(behind_proxy, keyring)) as app,
        client_of(app, tenant.api_key) as client,
    ):
        link = await make_link(client, database, world)
    assert link.created["url"] == f"https://meta.example.com/pc/connect#{link.code}"


@ONLY_SQLITE
@pytest.mark.parametrize("seconds", [299, 2_592_001, 0, -1, "3600s", None])
async def test_lifetime_is_required_and_5_minutes_to_30_days(
    api: httpx.AsyncClient, world: World, seconds: object
) -> None:
    path = f"/v1/partners/{world.ids['ptn']}/token-requests"
    body = {} if seconds is None else {"expires_in_seconds": seconds}
    assert_problem(await api.post(path, json=body), 422, "validation_failed")
    for allowed in (300, 2_592_000):
        answer = await api.post(path, json={"expires_in_seconds": allowed})
        assert answer.status_code == 201


@ONLY_SQLITE
async def test_partner_sees_guide_checklist_and_key_and_only_our_name(
    link: Link, world: World, workspace_id: UUID, keyring: PublicKeyring
) -> None:
    """Expect no id, no note and no number of our own business."""
    answer = await link.get()
    assert answer.status_code == 200
    body = answer.json()
    assert body["requested_by"] == world.integration.name
    assert body["partner"] == {
        "name": world.partner.name,
        "meta_business_id": world.partner.meta_business_id,
    }
    assert (body["state"], body["tries_left"], body["last_validation"]) == ("open", 5, None)
    assert set(body["guide"]["permissions"]) == REQUIRED_SCOPES
    assert body["guide"]["app_id"] == "2965389650414399"
    instructions = repr(body["guide"]["steps"])
    for required in (*REQUIRED_SCOPES, "2965389650414399", "Full control", "Admin", "Never"):
        assert required in instructions
    assert {step["id"] for step in body["checklist"]} >= {"app_access", "connected"}
    assert body["sealing_key"]["public_key"] == keyring.current.public_key
    ids = (world.ids["int"], world.ids["ptn"], link.created["id"], link.created["created_by"])
    number = world.integration.meta_business_id
    for private in (*ids, number, str(workspace_id), workspace_id.hex, "third link"):
        assert private not in answer.text


async def test_preview_of_a_link_changes_nothing(
    link: Link, database: Database, workspace_id: UUID
) -> None:
    """Read the request often, like mail scanners and chat previews do before a person."""
    async with database.reading() as session:
        before = await rows_of_workspace(session, workspace_id)
    first = (await link.get()).json()
    for _ in range(99):
        assert (await link.get()).json() == first
    async with database.reading() as session:
        assert await rows_of_workspace(session, workspace_id) == before


@ONLY_SQLITE
async def test_creation_and_revocation_are_audited_without_the_code(
    link: Link, api: httpx.AsyncClient
) -> None:
    await link.revoke()
    answer = await api.get("/v1/audit-events")
    revoked, created, *_ = answer.json()["items"]
    assert (created["action"], revoked["action"]) == (
        "token_request.created",
        "token_request.revoked",
    )
    assert created["subject"] == revoked["subject"] == link.created["id"]
    assert created["api_key_id"] == link.created["created_by"]
    assert link.code not in answer.text


async def test_code_and_api_key_are_refused_in_place_of_each_other(
    link: Link, api: httpx.AsyncClient, anonymous: httpx.AsyncClient, keyring: PublicKeyring
) -> None:
    """Expect the same answer for every wrong code."""
    headers = {"Authorization": f"Bearer {link.code}"}
    assert_problem(await anonymous.get("/v1/partners", headers=headers), 401, "not_authenticated")
    request_path = f"/v1/token-requests/{link.created['id']}"
    assert_problem(await anonymous.get(request_path, headers=headers), 401, "not_authenticated")
    unknown = credentials.mint(keyring.derive(b"pc-request-codes"), credentials.CODE_PREFIX).secret
    key_id = link.code.split("_")[1]
    forged = f"trc_{key_id}_{unknown.split('_')[2][:-6]}"
    wrong_credentials = [
        api.headers["Authorization"],
        "",
        "Bearer",
        "Bearer nonsense",
        f"Bearer {link.code[:-1]}",
        f"Bearer {unknown}",
        f"Bearer {forged}{credentials._checksum(forged)}",
        f"Bearer {credentials.mint(b'another pepper', credentials.CODE_PREFIX).secret}",
        f"Basic {link.code}",
    ]
    bodies = []
    for credential in wrong_credentials:
        for method, path in (("GET", ""), ("POST", "/open"), ("PUT", "/token")):
            answer = await anonymous.request(
                method,
                CURRENT + path,
                headers={"Authorization": credential},
                json={"access_token": TOKEN},
            )
            problem = assert_problem(answer, 401, "code_not_accepted")
            assert answer.headers["www-authenticate"].startswith("Bearer")
            bodies.append({**problem, "request_id": "", "instance": ""})
    assert all(body == bodies[0] for body in bodies)
    assert (await link.get()).status_code == 200


@ONLY_SQLITE
async def test_list_holds_only_the_partners_own_links(
    link: Link, api: httpx.AsyncClient, database: Database, world: World
) -> None:
    other = rows.partner(world.integration)
    await rows.store(database, other, rows.token_request(other))
    answer = await api.get(f"/v1/partners/{world.ids['ptn']}/token-requests")
    assert [item["id"] for item in answer.json()["items"]] == [link.created["id"]]
