"""Narrowed tokens: the API shows what a token no longer sees, and a caller accepts it."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import AuditEvent, Capability, Partner, Token
from tests.api.problems import assert_problem
from tests.api.world import World

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NARROWED = ["ads_read is gone"]


def token_path(world: World) -> str:
    """Return the path of the partner's token."""
    return f"/v1/partners/{world.ids['ptn']}/token"


async def update_capability(database: Database, **values: Any) -> None:
    """Write capability values, like a token check."""
    async with database.writing() as session:
        await session.execute(update(Capability).values(values))


async def test_accepted_capability_becomes_the_baseline_and_is_audited(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Expect the observed capability to be what the next check is compared with."""
    url = token_path(world)
    before = (await api.get(url)).json()
    assert before["narrowed"] == NARROWED
    assert before["capability_checked_at"] == "2026-11-01T12:00:00.000Z"
    answer = await api.post(f"{url}/accept-capabilities", json={"narrowed": NARROWED})
    assert answer.status_code == 200
    assert answer.json() == {**before, "narrowed": []} == (await api.get(url)).json()
    async with database.reading() as session:
        capability = (await session.scalars(select(Capability))).one()
        event = (await session.scalars(select(AuditEvent).order_by(AuditEvent.id.desc()))).first()
    assert capability.confirmed == capability.observed
    assert capability.confirmed is not None
    assert capability.confirmed["scopes"] == []
    assert capability.confirmed_at is not None
    assert (now() - capability.confirmed_at).total_seconds() < 60
    assert event is not None
    assert (event.action, event.subject) == ("capabilities.accepted", world.ids["ptn"])
    assert event.details == {"narrowed": NARROWED}
    assert_problem(await api.post(f"{url}/accept-capabilities"), 409, "nothing_narrowed")


@ONLY_SQLITE
@pytest.mark.parametrize("body", [None, {}, {"narrowed": None}])
async def test_acceptance_without_a_list_accepts_all_that_is_shown(
    api: httpx.AsyncClient, world: World, body: dict[str, Any] | None
) -> None:
    url = token_path(world)
    answer = await api.post(f"{url}/accept-capabilities", json=body)
    assert (answer.status_code, answer.json()["narrowed"]) == (200, [])


@ONLY_SQLITE
@pytest.mark.parametrize("narrowed", [[], ["ads_read is gone", "x"], ["x"]])
async def test_acceptance_of_another_list_is_refused(
    api: httpx.AsyncClient, database: Database, world: World, narrowed: list[str]
) -> None:
    """Expect a list that differs from the token's `narrowed` to accept nothing."""
    url = token_path(world)
    answer = await api.post(f"{url}/accept-capabilities", json={"narrowed": narrowed})
    assert_problem(answer, 409, "narrowing_changed")
    assert (await api.get(url)).json()["narrowed"] == NARROWED
    async with database.reading() as session:
        accepted = select(AuditEvent).where(AuditEvent.action == "capabilities.accepted")
        assert (await session.scalars(accepted)).all() == []


@ONLY_SQLITE
async def test_acceptance_during_a_check_is_refused(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Refuse to accept a capability that a running check has read only in part."""
    await update_capability(database, observed={"scopes": [], "granular": {}})
    answer = await api.post(f"{token_path(world)}/accept-capabilities")
    assert_problem(answer, 409, "narrowing_changed")


@ONLY_SQLITE
async def test_acceptance_without_a_token_is_refused(api: httpx.AsyncClient, world: World) -> None:
    url = token_path(world)
    assert (await api.delete(url)).status_code == 200
    answer = await api.post(f"{url}/accept-capabilities")
    assert_problem(answer, 404, "token_not_connected")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_acceptance_keeps_health_that_a_check_found_meanwhile(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Accept while a check finds the token invalid; the token stays invalid."""
    async with database.writing() as session:
        await session.get(Partner, world.partner.id, with_for_update=True)
        token = await session.get_one(Token, world.token.id, with_for_update=True)
        token.health = "insufficient"
        token.health_reasons = [{"code": "view_narrowed", "detail": "x", "remedy": None}]
    async with database.writing() as session:
        # Lock and write like the daily check.
        await session.get(Partner, world.partner.id, with_for_update=True)
        token = await session.get_one(Token, world.token.id, with_for_update=True)
        accepting = asyncio.create_task(api.post(f"{token_path(world)}/accept-capabilities"))
        await asyncio.sleep(0.5)
        token.health = "invalid"
        token.health_reasons = [{"code": "token_dead", "detail": "x", "remedy": None}]
    answer = await accepting
    assert answer.status_code == 200
    assert answer.json()["health"] == "invalid"
    assert (await api.get(token_path(world))).json() == answer.json()
