"""The audit chain (`/v1/audit-events`): its events, and how it shows later changes."""

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
    """Return the audit events, oldest first."""
    items: list[dict[str, Any]] = (await api.get(LIST)).json()["items"]
    return items[::-1]


async def verify(api: httpx.AsyncClient, **params: str) -> dict[str, Any]:
    """Return the result of verifying the audit chain."""
    answer = await api.get(VERIFY, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def make_history(api: httpx.AsyncClient) -> None:
    """Create three API keys and revoke two, which records five audit events."""
    key_ids = [
        (await api.post("/v1/api-keys", json={"name": name, "scopes": ["users:read"]})).json()["id"]
        for name in ("first", "second", "third")
    ]
    for key_id in key_ids[:2]:
        assert (await api.delete(f"/v1/api-keys/{key_id}")).status_code == 204


@ONLY_SQLITE
async def test_audit_event_records_key_request_and_subject(
    api: httpx.AsyncClient, database: Database, world: World, tenant: Tenant
) -> None:
    """Cancel a job, and check every member of the newest audit event."""
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
async def test_refused_request_records_no_audit_event(api: httpx.AsyncClient, world: World) -> None:
    before = await events_of(api)
    answer = await api.post(
        f"/v1/sync-jobs/{world.ids['job']}/plan/approve", json={"digest": "f" * 64}
    )
    assert answer.status_code == 409
    assert await events_of(api) == before


@ONLY_SQLITE
async def test_each_change_of_integration_records_audit_event(api: httpx.AsyncClient) -> None:
    """Create, update, replace the token and delete: the events hold no token."""
    token = "EAAG" + "hush" * 20
    body = {"name": "Ours", "meta_business_id": "4711", "access_token": token}
    integration_id = (await api.post("/v1/integrations", json=body)).json()["id"]
    url = f"/v1/integrations/{integration_id}"
    await api.patch(url, json={"safeguard_percent": 5})
    await api.put(f"{url}/token", json={"access_token": f"{token}2"})
    assert (await api.delete(url)).status_code == 204

    events = [event for event in await events_of(api) if event["subject"] == integration_id]

    assert [event["action"] for event in events] == [
        "integration.created",
        "token.handed_over",
        "integration.updated",
        "token.handed_over",
        "integration.deleted",
    ]
    assert events[2]["details"] == {"safeguard_percent": 5}
    assert [events[place]["details"]["version"] for place in (1, 3)] == [1, 2]
    assert "hush" not in str(events)


async def test_intact_chain_is_verified(
    app: FastAPI, api: httpx.AsyncClient, other_tenant: Tenant, tenant: Tenant
) -> None:
    """Verify the whole chain and an earlier anchor; another workspace has its own chain."""
    await make_history(api)
    events = await events_of(api)
    assert [event["sequence"] for event in events] == [1, 2, 3, 4, 5, 6]
    found = await verify(api)
    end = f"6:{events[-1]['hash']}"
    assert found == {"intact": True, "events": 6, "anchor": end, "broken": None}
    # An older anchor is still valid after more events.
    assert (await verify(api, anchor=f"3:{events[2]['hash']}"))["intact"] is True
    async with client_of(app, other_tenant.api_key) as other:
        assert (await verify(other))["events"] == 1


async def edit(session: AsyncSession, events: list[AuditEvent]) -> None:
    """Change the subject of an event."""
    await session.execute(
        update(AuditEvent).where(AuditEvent.id == events[2].id).values(subject="key_other")
    )


async def remove(session: AsyncSession, events: list[AuditEvent]) -> None:
    """Delete an event in the middle."""
    await session.execute(delete(AuditEvent).where(AuditEvent.id == events[2].id))


async def insert(session: AsyncSession, events: list[AuditEvent]) -> None:
    """Insert a forged event with another event's hash, and move the later events up."""
    await session.execute(
        text("UPDATE audit_events SET sequence = -sequence - 1 WHERE sequence >= 3")
    )
    await session.execute(text("UPDATE audit_events SET sequence = -sequence WHERE sequence < 0"))
    session.add(
        rows.audit_event(events[0].workspace_id, sequence=3, hash=events[2].hash, actor="worker")
    )
    await session.execute(update(AuditHead).values(sequence=7))


async def reorder(session: AsyncSession, events: list[AuditEvent]) -> None:
    """Swap the sequences of two events."""
    for event, sequence in ((events[2], -1), (events[3], 3), (events[2], 4)):
        await session.execute(
            update(AuditEvent).where(AuditEvent.id == event.id).values(sequence=sequence)
        )


async def truncate(session: AsyncSession, events: list[AuditEvent]) -> None:
    """Delete the newest events."""
    await session.execute(
        delete(AuditEvent).where(AuditEvent.id.in_([event.id for event in events[4:]]))
    )


async def append(session: AsyncSession, events: list[AuditEvent]) -> None:
    """Add a row after the end of the chain."""
    session.add(rows.audit_event(events[0].workspace_id))


@pytest.mark.parametrize(
    ("tamper", "sequence", "reason"),
    [
        (edit, 3, "altered"),
        (remove, 3, "missing"),
        (insert, 3, "altered"),
        (reorder, 3, "altered"),
        (truncate, 5, "missing"),
        (append, 7, "not_chained"),
    ],
)
async def test_changed_audit_events_are_found(
    api: httpx.AsyncClient, database: Database, tamper: Tamper, sequence: int, reason: str
) -> None:
    """Check that the first broken sequence and the anchor of the intact part are reported."""
    await make_history(api)
    async with database.writing() as session:
        query = select(AuditEvent).order_by(AuditEvent.sequence)
        events = list(await session.scalars(query))
        await tamper(session, events)

    found = await verify(api)

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
async def test_truncated_chain_with_changed_head_is_found_by_anchor(
    api: httpx.AsyncClient, database: Database, to_the_end: bool
) -> None:
    """Check that only an anchor kept elsewhere finds it, also after new events."""
    await make_history(api)
    anchor = (await verify(api))["anchor"]
    async with database.writing() as session:
        query = select(AuditEvent).order_by(AuditEvent.sequence)
        events = list(await session.scalars(query))
        await truncate(session, events)
        await session.execute(update(AuditHead).values(sequence=4, hash=events[3].hash))
    if not to_the_end:
        await make_history(api)

    assert (await verify(api))["intact"] is True
    broken = (await verify(api, anchor=anchor))["broken"]

    reason = "missing" if to_the_end else "anchor_differs"
    assert (broken["reason"], broken["sequence"]) == (reason, 5 if to_the_end else 6)


async def test_altered_chain_head_is_found(api: httpx.AsyncClient, database: Database) -> None:
    await make_history(api)
    async with database.writing() as session:
        await session.execute(update(AuditHead).values(hash="0" * 64))
    broken = (await verify(api))["broken"]
    assert (broken["sequence"], broken["reason"]) == (6, "head_altered")


async def test_deleted_chain_head_is_found(api: httpx.AsyncClient, database: Database) -> None:
    """Delete the head: new events are still recorded, and then the altered event is found."""
    await make_history(api)
    async with database.writing() as session:
        await session.execute(delete(AuditHead))
        events = list(await session.scalars(select(AuditEvent).order_by(AuditEvent.sequence)))
        await edit(session, events)
    broken = (await verify(api))["broken"]
    assert (broken["sequence"], broken["reason"]) == (1, "not_chained")

    await make_history(api)

    broken = (await verify(api))["broken"]
    assert (broken["sequence"], broken["reason"]) == (3, "altered")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_events_recorded_during_verification_do_not_break_chain(
    app: FastAPI, api: httpx.AsyncClient, tenant: Tenant
) -> None:
    verdicts, _ = await asyncio.gather(
        asyncio.gather(*(verify(api) for _ in range(20))),
        asyncio.gather(*(make_history(api) for _ in range(4))),
    )
    assert [found["broken"] for found in verdicts] == [None] * 20
    assert (await verify(api))["events"] == 21


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_changed_rows_are_locked_before_audit_chain(
    app: FastAPI, api: httpx.AsyncClient, database: Database, tenant: Tenant, world: World
) -> None:
    """Check that a session that waits for a row lock does not hold the audit chain's lock."""

    async def rename() -> None:
        async with database.writing() as session:
            integration = await session.get_one(Integration, world.integration.id)
            integration.name = "Renamed"
            await _recorder_of(app, tenant).record(session, action="x", subject="x", details={})

    async with database.writing() as session:
        await session.get(Integration, world.integration.id, with_for_update=True)
        other = asyncio.create_task(rename())
        await asyncio.sleep(0.5)
        await _recorder_of(app, tenant).record(session, action="y", subject="y", details={})
    await other
    events = [event["action"] for event in await events_of(api)]
    assert events[-2:] == ["y", "x"]


def _recorder_of(app: FastAPI, tenant: Tenant) -> Recorder:
    keyring = app.state.context.keyring
    return Recorder(cast("UUID", tenant.workspace_id), "worker", "x", keyring.derive(PURPOSE))


@ONLY_SQLITE
@pytest.mark.parametrize("anchor", ["7", "7:abc", "seven:" + "0" * 64, "7:" + "F" * 64])
async def test_malformed_anchor_is_refused(api: httpx.AsyncClient, anchor: str) -> None:
    answer = await api.get(VERIFY, params={"anchor": anchor})
    assert_problem(answer, 422, "validation_failed")
