"""`/v1/audit-events`: who decided what, and that nobody changed it afterwards."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.engine import Database
from partner_connector.db.models import ApiKey, AuditEvent, AuditHead, Integration
from partner_connector.features.audit.chain import PURPOSE
from partner_connector.features.audit.service import Recorder
from partner_connector.ids import decode, encode
from tests.api import rows
from tests.api.problems import assert_problem
from tests.api.world import World
from tests.support.clients import Tenant, client_of

ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
LIST = "/v1/audit-events"
VERIFY = "/v1/audit-events/verify"

Tamper = Callable[[AsyncSession, list[AuditEvent]], Awaitable[Any]]


async def events_of(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Oldest first."""
    items: list[dict[str, Any]] = (await api.get(LIST)).json()["items"]
    return items[::-1]


async def verified(api: httpx.AsyncClient, **params: str) -> dict[str, Any]:
    """What following the chain finds."""
    answer = await api.get(VERIFY, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def make_history(api: httpx.AsyncClient) -> None:
    """Some keys come and go: five more decisions."""
    made = [
        (await api.post("/v1/api-keys", json={"name": name, "scopes": ["users:read"]})).json()["id"]
        for name in ("first", "second", "third")
    ]
    for key in made[:2]:
        assert (await api.delete(f"/v1/api-keys/{key}")).status_code == 204


@ONLY_SQLITE
async def test_a_decision_is_on_record(
    api: httpx.AsyncClient, database: Database, world: World, tenant: Tenant
) -> None:
    """Newest first, with the key, the request, what it was done to, and what belongs to it."""
    url = f"/v1/sync-jobs/{world.ids['job']}/cancel"
    headers = {"X-Request-Id": "from-the-caller-1"}
    assert (await api.post(url, headers=headers)).status_code == 200
    async with database.reading() as session:
        key_id = tenant.api_key.split("_")[1]
        key = (await session.scalars(select(ApiKey.id).where(ApiKey.key_id == key_id))).one()
    newest, before = (await api.get(LIST)).json()["items"][:2]
    assert newest.pop("id").startswith("aud_")
    assert newest.pop("occurred_at") > before["occurred_at"]
    assert len(newest.pop("hash")) == 64
    assert newest == {
        "sequence": 2,
        "actor": "api_key",
        "api_key_id": encode("key", key),
        "action": "sync_job.cancelled",
        "subject": world.ids["job"],
        "request_id": "from-the-caller-1",
        "details": {"was": "halted", "cancelled_checks": 0},
    }


@ONLY_SQLITE
async def test_what_was_refused_is_not_on_record(api: httpx.AsyncClient, world: World) -> None:
    """Only what was done is told."""
    before = await events_of(api)
    answer = await api.post(
        f"/v1/sync-jobs/{world.ids['job']}/plan/approve", json={"digest": "f" * 64}
    )
    assert answer.status_code == 409
    assert await events_of(api) == before


@ONLY_SQLITE
async def test_the_life_of_an_integration_is_on_record(api: httpx.AsyncClient) -> None:
    """Made, changed, its token handed over, deleted: each with what belongs to it, and no token."""
    token = "EAAG" + "hush" * 20
    body = {"name": "Ours", "meta_business_id": "4711", "access_token": token}
    made = (await api.post("/v1/integrations", json=body)).json()["id"]
    url = f"/v1/integrations/{made}"
    await api.patch(url, json={"safeguard_percent": 5})
    await api.put(f"{url}/token", json={"access_token": f"{token}2"})
    assert (await api.delete(url)).status_code == 204

    told = [event for event in await events_of(api) if event["subject"] == made]

    assert [event["action"] for event in told] == [
        "integration.created",
        "token.handed_over",
        "integration.updated",
        "token.handed_over",
        "integration.deleted",
    ]
    assert told[2]["details"] == {"safeguard_percent": 5}
    assert [told[place]["details"]["version"] for place in (1, 3)] == [1, 2]
    assert "hush" not in str(told)


async def test_a_chain_that_holds(
    app: FastAPI, api: httpx.AsyncClient, stranger: Tenant, tenant: Tenant
) -> None:
    """Every event is linked to the one before; each workspace has a chain of its own."""
    await make_history(api)
    events = await events_of(api)
    assert [event["sequence"] for event in events] == [1, 2, 3, 4, 5, 6]
    found = await verified(api)
    end = f"6:{events[-1]['hash']}"
    assert found == {"intact": True, "events": 6, "anchor": end, "broken": None}
    # An anchor of an earlier time is part of what came after it.
    assert (await verified(api, anchor=f"3:{events[2]['hash']}"))["intact"] is True
    async with client_of(app, stranger.api_key) as other:
        assert (await verified(other))["events"] == 1


async def edit(session: AsyncSession, events: list[AuditEvent]) -> None:
    """Somebody else is said to have done it."""
    await session.execute(
        update(AuditEvent).where(AuditEvent.id == events[2].id).values(subject="key_other")
    )


async def remove(session: AsyncSession, events: list[AuditEvent]) -> None:
    """An event in the middle is gone."""
    await session.execute(delete(AuditEvent).where(AuditEvent.id == events[2].id))


async def insert(session: AsyncSession, events: list[AuditEvent]) -> None:
    """An event that never was, with the hash of another; the later ones make room for it."""
    await session.execute(
        text("UPDATE audit_events SET sequence = -sequence - 1 WHERE sequence >= 3")
    )
    await session.execute(text("UPDATE audit_events SET sequence = -sequence WHERE sequence < 0"))
    session.add(
        rows.audit_event(events[0].workspace_id, sequence=3, hash=events[2].hash, actor="worker")
    )
    await session.execute(update(AuditHead).values(sequence=7))


async def reorder(session: AsyncSession, events: list[AuditEvent]) -> None:
    """Two events take each other's place."""
    for event, sequence in ((events[2], -1), (events[3], 3), (events[2], 4)):
        await session.execute(
            update(AuditEvent).where(AuditEvent.id == event.id).values(sequence=sequence)
        )


async def truncate(session: AsyncSession, events: list[AuditEvent]) -> None:
    """The newest are gone."""
    await session.execute(
        delete(AuditEvent).where(AuditEvent.id.in_([event.id for event in events[4:]]))
    )


async def slip_in(session: AsyncSession, events: list[AuditEvent]) -> None:
    """A row behind the end of the chain."""
    session.add(rows.audit_event(events[0].workspace_id))


@pytest.mark.parametrize(
    ("tamper", "sequence", "reason"),
    [
        (edit, 3, "altered"),
        (remove, 3, "missing"),
        (insert, 3, "altered"),
        (reorder, 3, "altered"),
        (truncate, 5, "missing"),
        (slip_in, 7, "not_chained"),
    ],
)
async def test_whoever_changes_the_record_is_found_out(
    api: httpx.AsyncClient, database: Database, tamper: Tamper, sequence: int, reason: str
) -> None:
    """The first place that does not hold is named, and the anchor of what still does."""
    await make_history(api)
    async with database.writing() as session:
        query = select(AuditEvent).order_by(AuditEvent.sequence)
        events = list(await session.scalars(query))
        await tamper(session, events)

    found = await verified(api)

    assert (found["intact"], found["events"]) == (False, sequence - 1)
    assert (found["broken"]["sequence"], found["broken"]["reason"]) == (sequence, reason)
    assert found["anchor"] == f"{sequence - 1}:{events[sequence - 2].hash}"
    named = found["broken"]["event_id"]
    if reason == "altered":
        async with database.reading() as session:
            event = await session.get_one(AuditEvent, decode("aud", named))
            assert event.sequence == sequence
    else:
        assert named is None


@pytest.mark.parametrize("to_the_end", [True, False])
async def test_an_end_that_is_cut_off_with_its_head_needs_an_anchor(
    api: httpx.AsyncClient, database: Database, to_the_end: bool
) -> None:
    """Rows alone cannot tell; what was kept outside can, also where new events have come since."""
    await make_history(api)
    anchor = (await verified(api))["anchor"]
    async with database.writing() as session:
        query = select(AuditEvent).order_by(AuditEvent.sequence)
        events = list(await session.scalars(query))
        await truncate(session, events)
        await session.execute(update(AuditHead).values(sequence=4, hash=events[3].hash))
    if not to_the_end:
        await make_history(api)

    assert (await verified(api))["intact"] is True
    broken = (await verified(api, anchor=anchor))["broken"]

    reason = "missing" if to_the_end else "anchor_differs"
    assert (broken["reason"], broken["sequence"]) == (reason, 5 if to_the_end else 6)


async def test_a_head_of_another_chain(api: httpx.AsyncClient, database: Database) -> None:
    """The head says that the chain ends otherwise than it does."""
    await make_history(api)
    async with database.writing() as session:
        await session.execute(update(AuditHead).values(hash="0" * 64))
    broken = (await verified(api))["broken"]
    assert (broken["sequence"], broken["reason"]) == (6, "head_altered")


async def test_a_head_that_was_taken_away(api: httpx.AsyncClient, database: Database) -> None:
    """It shows at once; work goes on, and what was done to the rows shows then."""
    await make_history(api)
    async with database.writing() as session:
        await session.execute(delete(AuditHead))
        events = list(await session.scalars(select(AuditEvent).order_by(AuditEvent.sequence)))
        await edit(session, events)
    broken = (await verified(api))["broken"]
    assert (broken["sequence"], broken["reason"]) == (1, "not_chained")

    await make_history(api)

    broken = (await verified(api))["broken"]
    assert (broken["sequence"], broken["reason"]) == (3, "altered")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_events_that_come_meanwhile_are_no_break(
    app: FastAPI, api: httpx.AsyncClient, tenant: Tenant
) -> None:
    """However many decisions are made while the chain is followed."""
    verdicts, _ = await asyncio.gather(
        asyncio.gather(*(verified(api) for _ in range(20))),
        asyncio.gather(*(make_history(api) for _ in range(4))),
    )
    assert [found["broken"] for found in verdicts] == [None] * 20
    assert (await verified(api))["events"] == 21


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_what_is_changed_is_written_before_the_record_is_locked(
    app: FastAPI, api: httpx.AsyncClient, database: Database, tenant: Tenant, world: World
) -> None:
    """Whoever changes a row that somebody else holds waits for it without holding the record."""

    async def rename() -> None:
        async with database.writing() as session:
            mine = await session.get_one(Integration, world.integration.id)
            mine.name = "Renamed"
            await _recorder_of(app, tenant).record(session, action="x", subject="x", details={})

    async with database.writing() as session:
        await session.get(Integration, world.integration.id, with_for_update=True)
        other = asyncio.create_task(rename())
        await asyncio.sleep(0.5)
        await _recorder_of(app, tenant).record(session, action="y", subject="y", details={})
    await other
    told = [event["action"] for event in await events_of(api)]
    assert told[-2:] == ["y", "x"]


def _recorder_of(app: FastAPI, tenant: Tenant) -> Recorder:
    keyring = app.state.context.keyring
    return Recorder(cast("UUID", tenant.workspace_id), "worker", "x", keyring.derive(PURPOSE))


@ONLY_SQLITE
@pytest.mark.parametrize("anchor", ["7", "7:abc", "seven:" + "0" * 64, "7:" + "F" * 64])
async def test_what_is_no_anchor(api: httpx.AsyncClient, anchor: str) -> None:
    """It is refused before anything is read."""
    answer = await api.get(VERIFY, params={"anchor": anchor})
    assert_problem(answer, 422, "validation_failed")
