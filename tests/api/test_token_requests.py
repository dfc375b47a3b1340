"""One-time links: who makes them, what is kept of them, and what their holder is shown."""

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
from tests.api.world import World, everything_of
from tests.support.clients import Tenant, client_of, running

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
CURRENT = "/v1/token-requests/current"


@pytest.fixture
async def link(api: httpx.AsyncClient, database: Database, world: World) -> Link:
    """A link for the world's partner, just made."""
    return await make_link(api, database, world)


async def test_the_code_is_shown_once_and_kept_nowhere(
    api: httpx.AsyncClient, database: Database, world: World, workspace_id: UUID
) -> None:
    """The answer has code and link; no later answer, and no row, has either."""
    path = f"/v1/partners/{world.ids['ptn']}/token-requests"
    answer = await api.post(path, json={"expires_in_seconds": 3600, "note": "by mail"})
    assert answer.status_code == 201
    made: dict[str, Any] = answer.json()
    code = made.pop("code")
    assert made.pop("url") == f"http://testserver/connect#{code}"
    assert credentials.key_id_of(code, credentials.CODE_PREFIX)
    assert (made["state"], made["note"], made["tries_left"]) == ("open", "by mail", 5)
    assert (await api.get(answer.headers["location"])).json() == made
    assert (await api.get(path)).json()["items"] == [made]
    async with database.reading() as session:
        kept = repr(await everything_of(session, workspace_id))
    assert code not in kept
    assert code.split("_")[2] not in kept


@ONLY_SQLITE
async def test_a_link_carries_the_public_url(
    database: Database, settings: Settings, keyring: PublicKeyring, tenant: Tenant, world: World
) -> None:
    """Behind a proxy the setting says where partners find us."""
    behind = settings.model_copy(update={"public_url": "https://meta.example.com/pc"})
    async with (
        running(create_app(behind, keyring)) as app,
        client_of(app, tenant.api_key) as client,
    ):
        link = await make_link(client, database, world)
    assert link.made["url"] == f"https://meta.example.com/pc/connect#{link.code}"


@ONLY_SQLITE
@pytest.mark.parametrize("seconds", [299, 2_592_001, 0, -1, "3600s", None])
async def test_a_lifetime_is_5_minutes_to_30_days(
    api: httpx.AsyncClient, world: World, seconds: object
) -> None:
    """Neither shorter nor longer, and never left to chance."""
    path = f"/v1/partners/{world.ids['ptn']}/token-requests"
    body = {} if seconds is None else {"expires_in_seconds": seconds}
    assert_problem(await api.post(path, json=body), 422, "validation_failed")
    for fitting in (300, 2_592_000):
        answer = await api.post(path, json={"expires_in_seconds": fitting})
        assert answer.status_code == 201


@ONLY_SQLITE
async def test_the_partner_sees_what_to_do_and_of_us_the_name_alone(
    link: Link, world: World, workspace_id: UUID, keyring: PublicKeyring
) -> None:
    """Guide, checklist and sealing key; no id of ours, no note, no number of our business."""
    answer = await link.get()
    assert answer.status_code == 200
    seen = answer.json()
    assert seen["requested_by"] == world.integration.name
    assert seen["partner"] == {
        "name": world.partner.name,
        "meta_business_id": world.partner.meta_business_id,
    }
    assert (seen["state"], seen["tries_left"], seen["last_validation"]) == ("open", 5, None)
    assert set(seen["guide"]["permissions"]) == REQUIRED_SCOPES
    assert seen["guide"]["app_id"] == "2965389650414399"
    words = repr(seen["guide"]["steps"])
    for needed in (*REQUIRED_SCOPES, "2965389650414399", "Full control", "Admin", "Never"):
        assert needed in words
    assert {step["id"] for step in seen["checklist"]} >= {"app_access", "connected"}
    assert seen["sealing_key"]["public_key"] == keyring.current.public_key
    ids = (world.ids["int"], world.ids["ptn"], link.made["id"], link.made["created_by"])
    number = world.integration.meta_business_id
    for ours in (*ids, number, str(workspace_id), workspace_id.hex, "third link"):
        assert ours not in answer.text


async def test_previews_change_nothing(link: Link, database: Database, workspace_id: UUID) -> None:
    """Whoever looks at links before people do (mail scanners, chats) uses nothing up."""
    async with database.reading() as session:
        before = await everything_of(session, workspace_id)
    first = (await link.get()).json()
    for _ in range(99):
        assert (await link.get()).json() == first
    async with database.reading() as session:
        assert await everything_of(session, workspace_id) == before


@ONLY_SQLITE
async def test_making_and_revoking_is_on_record(link: Link, api: httpx.AsyncClient) -> None:
    """Who made a link and who ended it, without its code."""
    await link.revoke()
    answer = await api.get("/v1/audit-events")
    revoked, created, *_ = answer.json()["items"]
    assert (created["action"], revoked["action"]) == (
        "token_request.created",
        "token_request.revoked",
    )
    assert created["subject"] == revoked["subject"] == link.made["id"]
    assert created["api_key_id"] == link.made["created_by"]
    assert link.code not in answer.text


async def test_a_code_and_a_key_are_not_each_other(
    link: Link, api: httpx.AsyncClient, anonymous: httpx.AsyncClient, keyring: PublicKeyring
) -> None:
    """Each is refused where the other belongs, and every wrong code looks like the next."""
    bearing = {"Authorization": f"Bearer {link.code}"}
    assert_problem(await anonymous.get("/v1/partners", headers=bearing), 401, "not_authenticated")
    own = f"/v1/token-requests/{link.made['id']}"
    assert_problem(await anonymous.get(own, headers=bearing), 401, "not_authenticated")
    unknown = credentials.mint(keyring.derive(b"pc-request-codes"), credentials.CODE_PREFIX).secret
    half = link.code.split("_")[1]
    forged = f"trc_{half}_{unknown.split('_')[2][:-6]}"
    wrong = [
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
    for credential in wrong:
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
async def test_links_of_another_partner_are_not_listed(
    link: Link, api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """A partner's list holds its own links."""
    other = rows.partner(world.integration)
    await rows.store(database, other, rows.token_request(other))
    answer = await api.get(f"/v1/partners/{world.ids['ptn']}/token-requests")
    assert [item["id"] for item in answer.json()["items"]] == [link.made["id"]]
