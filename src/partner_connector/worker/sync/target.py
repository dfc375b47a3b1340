"""Whom one check for updates is about, loaded in one transaction and then used without one."""

import uuid
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import Integration, Partner, SyncJob, Token
from partner_connector.features.tokens.repository import TokenRepository
from partner_connector.worker.meta.unsupported_reads import still_refused
from partner_connector.worker.sync.read.hidden_assets import accepted_out_of_sight


@dataclass(frozen=True, slots=True)
class Target:
    """The businesses by Meta's ids, and their active tokens, still sealed."""

    job_id: uuid.UUID
    integration_id: uuid.UUID
    host_business_id: str
    host_token: Token | None
    partner_id: uuid.UUID | None
    partner_business_id: str
    relationship: str
    partner_token: Token | None
    # Shorter ways of asking that Meta refused lately (`sync.refusals`).
    refused_by_meta: frozenset[str]
    # Assets and edges that somebody accepted the token not to see (`sync.capability`).
    out_of_sight: frozenset[str]


async def load_target(session: AsyncSession, job: SyncJob) -> Target:
    """Read what the steps of this job need to know."""
    integration = await session.get_one(Integration, job.integration_id)
    partner = await session.get_one(Partner, job.partner_id) if job.partner_id else None
    tokens = TokenRepository(session, job.workspace_id)
    return Target(
        job_id=job.id,
        integration_id=integration.id,
        host_business_id=integration.meta_business_id,
        host_token=await tokens.active(integration.id, None),
        partner_id=job.partner_id,
        partner_business_id=partner.meta_business_id if partner else "",
        relationship=partner.relationship if partner else "",
        partner_token=await tokens.active(integration.id, partner.id) if partner else None,
        refused_by_meta=still_refused(partner.refused_by_meta) if partner else frozenset(),
        out_of_sight=await accepted_out_of_sight(session, job.partner_id),
    )
