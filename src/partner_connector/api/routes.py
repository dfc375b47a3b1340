"""All routers of the API, and the tags of its operations."""

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
    # The path `current` has to come before `{request_id}`.
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
    {
        "name": "Integrations",
        "description": "The connection to our own Meta business, with its own token.",
    },
    {
        "name": "Partners",
        "description": "Meta businesses that share assets with our own business.",
    },
    {
        "name": "Tokens",
        "description": "Validate a partner's access token, connect and disconnect the partner. "
        "No operation returns a token.",
    },
    {
        "name": "Token requests",
        "description": "One-time links through which a partner's admin hands over a token.",
    },
    {
        "name": "Hand-over",
        "description": "The partner's side of a token request, authenticated by the link's code.",
    },
    {"name": "Sealing", "description": "Public keys to encrypt a token with before you send it."},
    {"name": "Sync jobs", "description": "Checks for updates: their progress, events and plans."},
    {
        "name": "Partner users",
        "description": "People, system users and pending invites of partners, with their access.",
    },
    {"name": "Changes", "description": "Feed of what the checks for updates changed."},
    {"name": "Webhooks", "description": "Signed HTTP callbacks for events."},
    {"name": "Audit", "description": "Record of decisions: the action, its actor and its subject."},
    {"name": "API keys", "description": "Create, list and revoke the API keys of this workspace."},
    {"name": "Problems", "description": "Every kind of problem that an operation can return."},
    {"name": "Health", "description": "Liveness and readiness checks for load balancers."},
]
