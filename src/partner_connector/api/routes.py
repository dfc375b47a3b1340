"""The one list of routers."""

from fastapi import APIRouter

from partner_connector.api.pages.connect import router as connect_page
from partner_connector.api.system.health import router as health
from partner_connector.api.system.problems import router as problems
from partner_connector.api.system.reference import router as reference
from partner_connector.features.api_keys.router import router as api_keys
from partner_connector.features.audit.router import router as audit
from partner_connector.features.changes.router import router as changes
from partner_connector.features.integrations.router import router as integrations
from partner_connector.features.partner_users.router import router as partner_users
from partner_connector.features.partners.router import router as partners
from partner_connector.features.sync_jobs.events.router import router as sync_events
from partner_connector.features.sync_jobs.plans.router import router as sync_plans
from partner_connector.features.sync_jobs.router import router as sync_jobs
from partner_connector.features.token_requests.hand_over.router import router as hand_over
from partner_connector.features.token_requests.router import router as token_requests
from partner_connector.features.tokens.router import router as tokens
from partner_connector.features.tokens.sealing_keys.router import router as sealing_keys
from partner_connector.features.webhooks.deliveries.router import router as webhook_deliveries
from partner_connector.features.webhooks.router import router as webhooks

ROUTERS: tuple[APIRouter, ...] = (
    integrations,
    partners,
    tokens,
    sealing_keys,
    # `current` has to be met before `{request_id}`.
    hand_over,
    connect_page,
    token_requests,
    sync_jobs,
    sync_plans,
    sync_events,
    partner_users,
    changes,
    webhooks,
    webhook_deliveries,
    audit,
    api_keys,
    problems,
    reference,
    health,
)

TAGS = [
    {"name": "Integrations", "description": "Our own Meta business."},
    {"name": "Partners", "description": "Businesses that share assets with ours."},
    {"name": "Tokens", "description": "Proving, connecting and disconnecting. Write-only."},
    {"name": "Token requests", "description": "One-time links, made by you for a partner."},
    {"name": "Hand-over", "description": "The partner's side of a link, with its code."},
    {"name": "Sealing", "description": "Public keys to seal a token for."},
    {"name": "Sync jobs", "description": "Checks for updates and their progress."},
    {"name": "Partner users", "description": "Who at our partners can touch our assets."},
    {"name": "Changes", "description": "What changed between two checks, to be followed."},
    {"name": "Webhooks", "description": "Being told of what happens, by signed messages."},
    {"name": "Audit", "description": "Who decided what."},
    {"name": "API keys", "description": "Keys of this workspace."},
    {"name": "Problems", "description": "Everything that can go wrong."},
    {"name": "Health", "description": "For load balancers."},
]
