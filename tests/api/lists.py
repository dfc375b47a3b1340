"""Every list of the API: how to fill it, and the orders in which it can be asked for."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID

from partner_connector.db.engine import Database
from partner_connector.db.models import Base, SyncJob
from partner_connector.features.sync_jobs.recording import recorded
from partner_connector.ids import encode
from tests.api import rows
from tests.api.rows import SEEN_AT

Seed = Callable[[Database, UUID, int], Awaitable[str]]


async def seed_partners(database: Database, workspace_id: UUID, count: int) -> str:
    """So many partners, in threes of one name."""
    ours = rows.integration(workspace_id)
    partners = [rows.partner(ours, name=f"Partner {number // 3}") for number in range(count)]
    await rows.store(database, ours, *partners)
    return "/v1/partners"


async def seed_users(database: Database, workspace_id: UUID, count: int) -> str:
    """So many partner users, first seen in threes, each with a grant."""
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours)
    thing = rows.asset(ours)
    users = [
        rows.partner_user(
            theirs, name=f"User {n // 3}", first_seen_at=SEEN_AT + timedelta(seconds=n // 3)
        )
        for n in range(count)
    ]
    grants = [rows.grant(thing, user) for user in users]
    await rows.store(database, ours, theirs, thing, *users, *grants)
    return "/v1/partner-users"


async def seed_integrations(database: Database, workspace_id: UUID, count: int) -> str:
    """So many businesses of ours."""
    await rows.store(database, *(rows.integration(workspace_id) for _ in range(count)))
    return "/v1/integrations"


async def seed_jobs(database: Database, workspace_id: UUID, count: int) -> str:
    """So many completed jobs."""
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours)
    await rows.store(database, ours, theirs, *(rows.sync_job(theirs) for _ in range(count)))
    return "/v1/sync-jobs"


async def seed_assets(database: Database, workspace_id: UUID, count: int) -> str:
    """So many assets shared with one partner."""
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours)
    things = [rows.asset(ours) for _ in range(count)]
    shares: list[Base] = [rows.share(thing, theirs) for thing in things]
    await rows.store(database, ours, theirs, *things, *shares)
    return f"/v1/partners/{encode('ptn', theirs.id)}/assets"


async def seed_changes(database: Database, workspace_id: UUID, count: int) -> str:
    """So many changes at one partner."""
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours)
    await rows.store(database, ours, theirs)
    await rows.publish(database, *(rows.change(theirs) for _ in range(count)))
    return "/v1/changes"


async def seed_plan(database: Database, workspace_id: UUID, count: int) -> str:
    """A halted job that would change so many things."""
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours)
    job = rows.halted_job(theirs)
    changes = [rows.planned(job) for _ in range(count)]
    await rows.store(database, ours, theirs, job, *changes)
    return f"/v1/sync-jobs/{encode('job', job.id)}/plan"


async def seed_job_events(database: Database, workspace_id: UUID, count: int) -> str:
    """A job to which so much happened, of which the first is that it was asked for."""
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours)
    job = rows.sync_job(theirs, status="queued")
    await rows.store(database, ours, theirs, job)
    for number in range(1, count):
        async with database.writing() as session:
            mine = await session.get_one(SyncJob, job.id, with_for_update=True)
            async with recorded(session, mine):
                mine.phase = f"phase_{number}"
    return f"/v1/sync-jobs/{encode('job', job.id)}/events"


async def seed_audit_events(database: Database, workspace_id: UUID, count: int) -> str:
    """So many decisions, of which the first was to make the key that asks."""
    await rows.store(database, *(rows.audit_event(workspace_id) for _ in range(count - 1)))
    return "/v1/audit-events"


async def seed_token_requests(database: Database, workspace_id: UUID, count: int) -> str:
    """So many links for one partner."""
    ours = rows.integration(workspace_id)
    theirs = rows.partner(ours)
    await rows.store(database, ours, theirs, *(rows.token_request(theirs) for _ in range(count)))
    return f"/v1/partners/{encode('ptn', theirs.id)}/token-requests"


async def seed_api_keys(database: Database, workspace_id: UUID, count: int) -> str:
    """So many keys, of which the first is the one that asks."""
    await rows.store(database, *(rows.api_key(workspace_id) for _ in range(count - 1)))
    return "/v1/api-keys"


async def seed_webhook_endpoints(database: Database, workspace_id: UUID, count: int) -> str:
    """So many endpoints."""
    await rows.store(database, *(rows.webhook_endpoint(workspace_id) for _ in range(count)))
    return "/v1/webhook-endpoints"


async def seed_webhook_deliveries(database: Database, workspace_id: UUID, count: int) -> str:
    """So many deliveries to one endpoint."""
    theirs = rows.partner(rows.integration(workspace_id))
    hook = rows.webhook_endpoint(workspace_id)
    events = [rows.webhook_event(theirs) for _ in range(count)]
    sent = [rows.webhook_delivery(event, hook) for event in events]
    await rows.store(database, hook, *events, *sent)
    return f"/v1/webhook-endpoints/{encode('whk', hook.id)}/deliveries"


LISTS: Sequence[tuple[Seed, Sequence[dict[str, str]]]] = (
    (
        seed_partners,
        ({}, {"sort": "-name"}, {"sort": "created_at"}, {"sort": "-created_at"}),
    ),
    (
        seed_users,
        (
            {},
            {"sort": "-name", "expand": "grants"},
            {"sort": "first_seen_at"},
            {"sort": "-first_seen_at"},
        ),
    ),
    (seed_integrations, ({},)),
    (seed_jobs, ({},)),
    (seed_assets, ({},)),
    (seed_changes, ({}, {"after": "0", "kind": "partner_listed"})),
    (seed_plan, ({},)),
    (seed_job_events, ({}, {"after": "0"})),
    (seed_audit_events, ({},)),
    (seed_token_requests, ({},)),
    (seed_api_keys, ({},)),
    (seed_webhook_endpoints, ({},)),
    (seed_webhook_deliveries, ({}, {"status": "pending"})),
)
