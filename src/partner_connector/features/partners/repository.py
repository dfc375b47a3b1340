"""Partners of one workspace in the database."""

import uuid
from typing import Any, Literal

from pydantic import BaseModel, Field
from sqlalchemy import Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.keyset import KeysetOrder, PageRequest
from partner_connector.db.locks import lock_partner
from partner_connector.db.models import Asset, AssetShare, Grant, Partner, TokenValidation
from partner_connector.errors import found
from partner_connector.features.partners.status import (
    ActiveToken,
    OnboardingState,
    join_condition,
    onboarding_status,
)
from partner_connector.ids import IntegrationId

OnboardingStatus = Literal["pending_onboarding", "onboarded", "needs_attention"]
Presence = Literal["listed", "no_longer_shared"]
Relationship = Literal["agency", "client", "both"]
_PARTNER = Partner.__table__.c

SORTS = {
    "name": KeysetOrder([_PARTNER.name, _PARTNER.id]),
    "-name": KeysetOrder([_PARTNER.name, _PARTNER.id], descending=True),
    "created_at": KeysetOrder([_PARTNER.created_at, _PARTNER.id]),
    "-created_at": KeysetOrder([_PARTNER.created_at, _PARTNER.id], descending=True),
}
_ASSETS = KeysetOrder([Asset.__table__.c.id])


class PartnerFilter(BaseModel):
    """Query parameters that filter a list of partners."""

    integration_id: IntegrationId | None = Field(
        default=None, description="Return only partners of this integration."
    )
    onboarding_status: list[OnboardingStatus] | None = Field(
        default=None, max_length=3, description="Repeat to match any of several values."
    )
    presence: list[Presence] | None = Field(
        default=None, max_length=2, description="Repeat to match any of several values."
    )
    relationship: list[Relationship] | None = Field(
        default=None, max_length=3, description="Repeat to match any of several values."
    )
    q: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00]*$",
        description="Return partners whose name contains this text. Case is ignored.",
        examples=["northwind"],
    )

    def apply(self, query: Select[Partner, str]) -> Select[Partner, str]:
        """Return the query with a condition for each given filter."""
        if self.integration_id is not None:
            query = query.where(Partner.integration_id == self.integration_id)
        if self.onboarding_status:
            query = query.where(onboarding_status.in_(self.onboarding_status))
        if self.presence:
            query = query.where(Partner.presence.in_(self.presence))
        if self.relationship:
            query = query.where(Partner.relationship.in_(self.relationship))
        if self.q:
            query = query.where(Partner.name.icontains(self.q, autoescape=True))
        return query


class PartnerRepository:
    """Reads and locks partners of the workspace that it is created for."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def get(self, partner_id: uuid.UUID) -> Partner:
        """Return a partner. Raises `NotFound`."""
        query = select(Partner).where(
            Partner.workspace_id == self.workspace_id, Partner.id == partner_id
        )
        return found(await self.session.scalar(query))

    async def lock(self, partner_id: uuid.UUID) -> Partner:
        """Lock and return a partner. Raises `NotFound`."""
        is_ours = Partner.workspace_id == self.workspace_id
        return found(await lock_partner(self.session, partner_id, is_ours))

    async def get_with_onboarding_state(
        self, partner_id: uuid.UUID
    ) -> tuple[Partner, OnboardingState]:
        """Return a partner and its onboarding status. Raises `NotFound`."""
        query = self._with_onboarding_state().where(Partner.id == partner_id)
        partner, status, reasons = found((await self.session.execute(query)).one_or_none())
        return partner, OnboardingState(status, reasons or [])

    async def page(
        self, page: PageRequest, filters: PartnerFilter, sort: str
    ) -> tuple[list[tuple[Partner, OnboardingState]], str | None]:
        """Return a page of partners with their onboarding status, and the next cursor."""
        query = filters.apply(self._with_onboarding_state())
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, SORTS[sort])
        return [(row[0], OnboardingState(row[1], row[2] or [])) for row in rows], cursor

    async def assets_page(
        self, page: PageRequest, partner_id: uuid.UUID
    ) -> tuple[list[Any], str | None]:
        """Return rows of asset, share and number of the partner's users on the asset."""
        users = (
            select(func.count(Grant.partner_user_id.distinct()))
            .where(Grant.asset_id == Asset.id, Grant.partner_id == partner_id)
            .correlate(Asset)
            .scalar_subquery()
        )
        query = (
            select(Asset, AssetShare, users)
            .join(AssetShare, AssetShare.asset_id == Asset.id)
            .where(AssetShare.workspace_id == self.workspace_id)
            .where(AssetShare.partner_id == partner_id)
        )
        return await page.fetch(self.session, self.workspace_id, query, _ASSETS)

    async def checklist_validation(self, partner_id: uuid.UUID) -> TokenValidation | None:
        """Return the completed validation that the checklist is derived from, or None.

        The latest one of the active token, else the latest one of any token: a dry run of another
        token says nothing about a connected partner.
        """
        query = (
            select(TokenValidation)
            .outerjoin(ActiveToken, ActiveToken.id == TokenValidation.token_id)
            .where(TokenValidation.workspace_id == self.workspace_id)
            .where(TokenValidation.partner_id == partner_id)
            .where(TokenValidation.status == "completed")
            .order_by(case((ActiveToken.state == "active", 0), else_=1), TokenValidation.id.desc())
            .limit(1)
        )
        return await self.session.scalar(query)

    def _with_onboarding_state(self) -> Select[Any]:
        return (
            select(Partner, onboarding_status, ActiveToken.health_reasons)
            .outerjoin(ActiveToken, join_condition)
            .where(Partner.workspace_id == self.workspace_id)
        )
