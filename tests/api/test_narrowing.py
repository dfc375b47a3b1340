"""A token that sees less than it did: told, and accepted by somebody who knows that it is meant."""

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


def token_of(world: World) -> str:
    """Where the partner's token is."""
    return f"/v1/partners/{world.ids['ptn']}/token"


async def change(database: Database, **values: Any) -> None:
    """What a check would write."""
    async with database.writing() as session:
        await session.execute(update(Capability).values(values))


async def test_accept(api: httpx.AsyncClient, database: Database, world: World) -> None:
    """What is seen now becomes what the next check is measured by, and that is on record."""
    url = token_of(world)
    before = (await api.get(url)).json()
    assert before["narrowed"] == NARROWED
    assert before["capability_checked_at"] == "2026-11-01T12:00:00.000Z"
    answer = await api.post(f"{url}/accept-capabilities", json={"narrowed": NARROWED})
    assert answer.status_code == 200
    assert answer.json() == {**before, "narrowed": []} == (await api.get(url)).json()
    async with database.reading() as session:
        row = (await session.scalars(select(Capability))).one()
        event = (await session.scalars(select(AuditEvent).order_by(AuditEvent.id.desc()))).first()
    assert row.proven == row.observed
    assert row.proven is not None
    assert row.proven["scopes"] == []
    assert row.proven_at is not None
    assert (now() - row.proven_at).total_seconds() < 60
    assert event is not None
    assert (event.action, event.subject) == ("capabilities.accepted", world.ids["ptn"])
    assert event.details == {"narrowed": NARROWED}
    assert_problem(await api.post(f"{url}/accept-capabilities"), 409, "nothing_narrowed")


@ONLY_SQLITE
@pytest.mark.parametrize("body", [None, {}, {"narrowed": None}])
async def test_accept_whatever_there_is(
    api: httpx.AsyncClient, world: World, body: dict[str, Any] | None
) -> None:
    """Whoever names nothing accepts all that the token view shows."""
    url = token_of(world)
    answer = await api.post(f"{url}/accept-capabilities", json=body)
    assert (answer.status_code, answer.json()["narrowed"]) == (200, [])


@ONLY_SQLITE
@pytest.mark.parametrize("narrowed", [[], ["ads_read is gone", "x"], ["x"]])
async def test_what_was_not_read_is_not_accepted(
    api: httpx.AsyncClient, database: Database, world: World, narrowed: list[str]
) -> None:
    """Whoever names what is accepted accepts that or nothing."""
    url = token_of(world)
    answer = await api.post(f"{url}/accept-capabilities", json={"narrowed": narrowed})
    assert_problem(answer, 409, "narrowing_changed")
    assert (await api.get(url)).json()["narrowed"] == NARROWED
    async with database.reading() as session:
        accepted = select(AuditEvent).where(AuditEvent.action == "capabilities.accepted")
        assert (await session.scalars(accepted)).all() == []


@ONLY_SQLITE
async def test_while_a_check_is_looking(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """What a check has seen in part is not accepted as all there is."""
    await change(database, observed={"scopes": [], "granular": {}})
    answer = await api.post(f"{token_of(world)}/accept-capabilities")
    assert_problem(answer, 409, "narrowing_changed")


@ONLY_SQLITE
async def test_without_a_token(api: httpx.AsyncClient, world: World) -> None:
    """Of a partner that is not connected there is nothing to accept."""
    url = token_of(world)
    assert (await api.delete(url)).status_code == 200
    answer = await api.post(f"{url}/accept-capabilities")
    assert_problem(answer, 404, "token_not_connected")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_token_that_is_found_dead_meanwhile(
    api: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Accepting that it sees less does not make it well."""
    async with database.writing() as session:
        await session.get(Partner, world.partner.id, with_for_update=True)
        token = await session.get_one(Token, world.token.id, with_for_update=True)
        token.health = "insufficient"
        token.health_reasons = [{"code": "view_narrowed", "detail": "x", "remedy": None}]
    async with database.writing() as session:
        # As the daily check does it.
        await session.get(Partner, world.partner.id, with_for_update=True)
        token = await session.get_one(Token, world.token.id, with_for_update=True)
        accepting = asyncio.create_task(api.post(f"{token_of(world)}/accept-capabilities"))
        await asyncio.sleep(0.5)
        token.health = "invalid"
        token.health_reasons = [{"code": "token_dead", "detail": "x", "remedy": None}]
    answer = await accepting
    assert answer.status_code == 200
    assert answer.json()["health"] == "invalid"
    assert (await api.get(token_of(world))).json() == answer.json()
