"""Target of a sync job: its businesses and tokens, loaded in one transaction before a step."""

import uuid
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import Integration, Partner, SyncJob, Token
from partner_connector.features.tokens.repository import TokenRepository
from partner_connector.worker.meta.unsupported_reads import recent_refusals
from partner_connector.worker.sync.read.hidden_assets import accepted_hidden_names


@dataclass(frozen=True, slots=True)
class Target:
    """Businesses of a job by Meta's ids, and their active tokens, encrypted."""

    job_id: uuid.UUID
    integration_id: uuid.UUID
    own_business_id: str
    own_token: Token | None
    partner_id: uuid.UUID | None
    partner_business_id: str
    relationship: str
    partner_token: Token | None
    # Undocumented reads that Meta refused recently (`worker.meta.unsupported_reads`).
    refused_by_meta: frozenset[str]
    # Assets and edges accepted as hidden from the token (`sync.read.hidden_assets`).
    accepted_hidden: frozenset[str]


async def load_target(session: AsyncSession, job: SyncJob) -> Target:
    """Load the data that the steps of this job need."""
    integration = await session.get_one(Integration, job.integration_id)
    partner = await session.get_one(Partner, job.partner_id) if job.partner_id else None
    tokens = TokenRepository(session, job.workspace_id)
    return Target(
        job_id=job.id,
        integration_id=integration.id,
        own_business_id=integration.meta_business_id,
        own_token=await tokens.active(integration.id, None),
        partner_id=job.partner_id,
        partner_business_id=partner.meta_business_id if partner else "",
        relationship=partner.relationship if partner else "",
        partner_token=await tokens.active(integration.id, partner.id) if partner else None,
        refused_by_meta=recent_refusals(partner.refused_by_meta) if partner else frozenset(),
        accepted_hidden=await accepted_hidden_names(session, job.partner_id),
    )
