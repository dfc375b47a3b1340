"""Every list of the API: a function that fills it, and the query parameters to test."""

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
    """Store `count` partners, three of each name, and return the path of their list."""
    integration = rows.integration(workspace_id)
    partners = [rows.partner(integration, name=f"Partner {number // 3}") for number in range(count)]
    await rows.store(database, integration, *partners)
    return "/v1/partners"


async def seed_users(database: Database, workspace_id: UUID, count: int) -> str:
    """Store `count` partner users with a grant each; three share each `first_seen_at`."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    asset = rows.asset(integration)
    users = [
        rows.partner_user(
            partner, name=f"User {n // 3}", first_seen_at=SEEN_AT + timedelta(seconds=n // 3)
        )
        for n in range(count)
    ]
    grants = [rows.grant(asset, user) for user in users]
    await rows.store(database, integration, partner, asset, *users, *grants)
    return "/v1/partner-users"


async def seed_integrations(database: Database, workspace_id: UUID, count: int) -> str:
    """Store `count` integrations."""
    await rows.store(database, *(rows.integration(workspace_id) for _ in range(count)))
    return "/v1/integrations"


async def seed_jobs(database: Database, workspace_id: UUID, count: int) -> str:
    """Store `count` completed jobs."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    await rows.store(
        database, integration, partner, *(rows.sync_job(partner) for _ in range(count))
    )
    return "/v1/sync-jobs"


async def seed_assets(database: Database, workspace_id: UUID, count: int) -> str:
    """Store `count` assets that are shared with one partner."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    assets = [rows.asset(integration) for _ in range(count)]
    shares: list[Base] = [rows.share(asset, partner) for asset in assets]
    await rows.store(database, integration, partner, *assets, *shares)
    return f"/v1/partners/{encode('ptn', partner.id)}/assets"


async def seed_changes(database: Database, workspace_id: UUID, count: int) -> str:
    """Publish `count` changes of one partner."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    await rows.store(database, integration, partner)
    await rows.publish(database, *(rows.change(partner) for _ in range(count)))
    return "/v1/changes"


async def seed_plan(database: Database, workspace_id: UUID, count: int) -> str:
    """Store a halted job whose plan has `count` changes."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    job = rows.halted_job(partner)
    changes = [rows.planned(job) for _ in range(count)]
    await rows.store(database, integration, partner, job, *changes)
    return f"/v1/sync-jobs/{encode('job', job.id)}/plan"


async def seed_job_events(database: Database, workspace_id: UUID, count: int) -> str:
    """Store a job with `count` events; the first event is the request for the job."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    job = rows.sync_job(partner, status="queued")
    await rows.store(database, integration, partner, job)
    for number in range(1, count):
        async with database.writing() as session:
            row = await session.get_one(SyncJob, job.id, with_for_update=True)
            async with recorded(session, row):
                row.phase = f"phase_{number}"
    return f"/v1/sync-jobs/{encode('job', job.id)}/events"


async def seed_audit_events(database: Database, workspace_id: UUID, count: int) -> str:
    """Store audit events until there are `count`; creating the caller's key was the first."""
    await rows.store(database, *(rows.audit_event(workspace_id) for _ in range(count - 1)))
    return "/v1/audit-events"


async def seed_token_requests(database: Database, workspace_id: UUID, count: int) -> str:
    """Store `count` token requests of one partner."""
    integration = rows.integration(workspace_id)
    partner = rows.partner(integration)
    await rows.store(
        database, integration, partner, *(rows.token_request(partner) for _ in range(count))
    )
    return f"/v1/partners/{encode('ptn', partner.id)}/token-requests"


async def seed_api_keys(database: Database, workspace_id: UUID, count: int) -> str:
    """Store API keys until there are `count`; the caller's key is the first."""
    await rows.store(database, *(rows.api_key(workspace_id) for _ in range(count - 1)))
    return "/v1/api-keys"


async def seed_webhook_endpoints(database: Database, workspace_id: UUID, count: int) -> str:
    """Store `count` webhook endpoints."""
    await rows.store(database, *(rows.webhook_endpoint(workspace_id) for _ in range(count)))
    return "/v1/webhook-endpoints"


async def seed_webhook_deliveries(database: Database, workspace_id: UUID, count: int) -> str:
    """Store `count` deliveries to one webhook endpoint."""
    partner = rows.partner(rows.integration(workspace_id))
    endpoint = rows.webhook_endpoint(workspace_id)
    events = [rows.webhook_event(partner) for _ in range(count)]
    deliveries = [rows.webhook_delivery(event, endpoint) for event in events]
    await rows.store(database, endpoint, *events, *deliveries)
    return f"/v1/webhook-endpoints/{encode('whk', endpoint.id)}/deliveries"


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
