"""Webhook events of the ends of jobs and of the changes of tokens."""

import contextlib
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from partner_connector.db.engine import Database
from partner_connector.db.models import Partner, SyncJob, Token, WebhookEvent
from partner_connector.features.sync_jobs.recording import recorded
from partner_connector.features.tokens.health import reason, set_health
from partner_connector.features.tokens.health_changes import record_health_changes
from partner_connector.features.tokens.service import disconnect
from partner_connector.features.webhooks import events
from partner_connector.features.webhooks.event_types import EventType
from partner_connector.worker.context import WorkerContext
from tests.api import rows

# These events do not depend on the database system.
ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
EVERY_TYPE = [str(each) for each in EventType]


@pytest.fixture
async def partner(database: Database, workspace_id: UUID) -> Partner:
    """A partner of a workspace with an endpoint for every event type."""
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours)
    endpoint = rows.webhook_endpoint(workspace_id, event_types=EVERY_TYPE)
    await rows.store(database, ours, theirs, endpoint)
    return theirs


async def stored_events(database: Database) -> list[tuple[str, dict[str, Any]]]:
    """Return type and states of each event, in order."""
    async with database.reading() as session:
        found = await session.scalars(select(WebhookEvent).order_by(WebhookEvent.id))
        return [(each.type, each.states or {}) for each in found]


@ONLY_SQLITE
@pytest.mark.parametrize(
    ("is_parent", "steps", "expected"),
    [
        (False, ["running", "waiting", "running", "completed"], ["completed"]),
        (False, ["running", "halted", "running", "completed"], ["halted", "completed"]),
        (False, ["running", "failed"], ["failed"]),
        (False, ["cancelled"], ["cancelled"]),
        # A parent job shows the first failure at once, and ends with its last child job.
        (True, ["running", "failed", "failed", "over"], ["failed"]),
        (True, ["running", "halted", "over"], ["halted"]),
    ],
)
async def test_job_events_report_each_end_and_halt_once(
    database: Database, partner: Partner, is_parent: bool, steps: list[str], expected: list[str]
) -> None:
    """Report no intermediate state."""
    task = {"task": "sync_integration", "partner_id": None, "phase": "checking_partners"}
    job = rows.sync_job(partner, status="queued", **(task if is_parent else {}))
    await rows.store(database, job)
    for step in steps:
        async with database.writing() as session:
            row = await session.get_one(SyncJob, job.id)
            async with recorded(session, row):
                row.done += 1
                if step == "over":
                    row.phase = "finished"
                else:
                    row.status = step
    assert [kind for kind, _ in await stored_events(database)] == [
        f"sync_job.{each}" for each in expected
    ]


async def test_event_is_rolled_back_with_its_transaction(
    database: Database, partner: Partner
) -> None:
    job = rows.sync_job(partner, status="running")
    await rows.store(database, job)
    with contextlib.suppress(RuntimeError):
        async with database.writing() as session:
            row = await session.get_one(SyncJob, job.id)
            async with recorded(session, row):
                row.status = "failed"
            await session.flush()
            raise RuntimeError
    assert await stored_events(database) == []


@ONLY_SQLITE
@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("healthy", "expiring", ["token.expiring"]),
        ("expiring", "expired", ["token.expired", "partner.needs_attention"]),
        ("healthy", "invalid", ["token.invalid", "partner.needs_attention"]),
        ("healthy", "unreadable", ["token.invalid", "partner.needs_attention"]),
        ("healthy", "insufficient", ["token.scope_drift", "partner.needs_attention"]),
        ("invalid", "insufficient", ["token.scope_drift"]),
        ("insufficient", "healthy", ["partner.recovered"]),
        ("unreadable", "unknown", ["partner.recovered"]),
        ("unknown", "healthy", []),
        ("healthy", "healthy", []),
    ],
)
async def test_health_change_has_event_of_token_and_partner(
    database: Database,
    partner: Partner,
    context: WorkerContext,
    before: str,
    after: str,
    expected: list[str],
) -> None:
    token = rows.token(partner, health=before)
    await rows.store(database, token)
    reasons = [] if after in {"healthy", "unknown"} else [reason(f"token_{after}", "Secret.", None)]
    async with database.writing() as session:
        row = await session.get_one(Token, token.id)
        async with record_health_changes(
            session, context.recorder(token.workspace_id, "x"), row.id
        ):
            set_health(row, after, reasons)
    found = await stored_events(database)
    assert [kind for kind, _ in found] == expected
    if reasons:
        assert found[0][1] == {"version": 1, "health": after, "reasons": [f"token_{after}"]}
    assert "Secret" not in str(found)


async def test_token_events_follow_connect_replace_and_disconnect(
    database: Database, partner: Partner, context: WorkerContext
) -> None:
    """Report a recovery when a working token replaces a broken one, and no partner for the own
    business's token.
    """
    broken = rows.token(partner, health="invalid", state="superseded")
    working = rows.token(partner, version=2)
    own = rows.token(partner, partner_id=None)
    await rows.store(database, broken, working, own)
    async with database.writing() as session:
        await events.token_connected(session, working, None)
        await events.token_connected(session, working, broken)
        await events.token_connected(session, own, broken)
        await events.token_connected(session, own, None)
        audit = context.recorder(partner.workspace_id, "x")
        await disconnect(session, audit, await session.get_one(Partner, partner.id))
    assert [kind for kind, _ in await stored_events(database)] == [
        "partner.connected",
        "token.replaced",
        "partner.recovered",
        "token.replaced",
        "partner.disconnected",
    ]
