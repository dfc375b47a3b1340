"""What is put out when: ends of jobs, and what becomes of tokens."""

import contextlib
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from partner_connector.db.engine import Database
from partner_connector.db.models import Partner, SyncJob, Token, WebhookEvent
from partner_connector.features.sync_jobs.recording import recorded
from partner_connector.features.tokens.health import reason, set_health
from partner_connector.features.tokens.health_changes import telling_health_changes
from partner_connector.features.tokens.service import disconnect
from partner_connector.features.webhooks import events
from partner_connector.features.webhooks.event_types import EventType
from partner_connector.worker.context import Workshop
from tests.api import rows

# What is put out does not depend on the database.
ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
EVERY_TYPE = [str(each) for each in EventType]


@pytest.fixture
async def partner(database: Database, workspace_id: UUID) -> Partner:
    """Of a workspace that wants to be told everything."""
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours)
    endpoint = rows.webhook_endpoint(workspace_id, event_types=EVERY_TYPE)
    await rows.store(database, ours, theirs, endpoint)
    return theirs


async def put_out(database: Database) -> list[tuple[str, dict[str, Any]]]:
    """Type and states of each event, in their order."""
    async with database.reading() as session:
        found = await session.scalars(select(WebhookEvent).order_by(WebhookEvent.id))
        return [(each.type, each.states or {}) for each in found]


@ONLY_SQLITE
@pytest.mark.parametrize(
    ("parent", "steps", "told"),
    [
        (False, ["running", "waiting", "running", "completed"], ["completed"]),
        (False, ["running", "halted", "running", "completed"], ["halted", "completed"]),
        (False, ["running", "failed"], ["failed"]),
        (False, ["cancelled"], ["cancelled"]),
        # It shows the first failure at once, and is over with the last of its parts.
        (True, ["running", "failed", "failed", "over"], ["failed"]),
        (True, ["running", "halted", "over"], ["halted"]),
    ],
)
async def test_how_jobs_end(
    database: Database, partner: Partner, parent: bool, steps: list[str], told: list[str]
) -> None:
    """Each end is told once, each stand for a decision once, and nothing on the way."""
    task = {"task": "sync_integration", "partner_id": None, "phase": "checking_partners"}
    job = rows.sync_job(partner, status="queued", **(task if parent else {}))
    await rows.store(database, job)
    for step in steps:
        async with database.writing() as session:
            mine = await session.get_one(SyncJob, job.id)
            async with recorded(session, mine):
                mine.done += 1
                if step == "over":
                    mine.phase = "finished"
                else:
                    mine.status = step
    assert [kind for kind, _ in await put_out(database)] == [f"sync_job.{each}" for each in told]


async def test_what_is_rolled_back_is_not_told(database: Database, partner: Partner) -> None:
    """The event is part of the transaction of what it tells."""
    job = rows.sync_job(partner, status="running")
    await rows.store(database, job)
    with contextlib.suppress(RuntimeError):
        async with database.writing() as session:
            mine = await session.get_one(SyncJob, job.id)
            async with recorded(session, mine):
                mine.status = "failed"
            await session.flush()
            raise RuntimeError
    assert await put_out(database) == []


@ONLY_SQLITE
@pytest.mark.parametrize(
    ("before", "after", "told"),
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
async def test_how_tokens_do(
    database: Database, partner: Partner, shop: Workshop, before: str, after: str, told: list[str]
) -> None:
    """What is news of the token is told, and what is news of the partner beside it."""
    token = rows.token(partner, health=before)
    await rows.store(database, token)
    why = [] if after in {"healthy", "unknown"} else [reason(f"token_{after}", "Secret.", None)]
    async with database.writing() as session:
        mine = await session.get_one(Token, token.id)
        async with telling_health_changes(session, shop.recorder(token.workspace_id, "x"), mine.id):
            set_health(mine, after, why)
    found = await put_out(database)
    assert [kind for kind, _ in found] == told
    if why:
        assert found[0][1] == {"version": 1, "health": after, "reasons": [f"token_{after}"]}
    assert "Secret" not in str(found)


async def test_what_becomes_of_a_token(
    database: Database, partner: Partner, shop: Workshop
) -> None:
    """The first one connects, the next ones replace; one that works where the one before did not
    lets the partner recover; and our own business's token is nobody's partner.
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
        audit = shop.recorder(partner.workspace_id, "x")
        await disconnect(session, audit, await session.get_one(Partner, partner.id))
    assert [kind for kind, _ in await put_out(database)] == [
        "partner.connected",
        "token.replaced",
        "partner.recovered",
        "token.replaced",
        "partner.disconnected",
    ]
