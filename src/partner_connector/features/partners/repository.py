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
    Standing,
    join_condition,
    onboarding_status,
    standing,
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
    """Query parameters that narrow a list of partners."""

    integration_id: IntegrationId | None = Field(
        default=None, description="Partners of this integration only."
    )
    onboarding_status: list[OnboardingStatus] | None = Field(
        default=None, max_length=3, description="Repeat for “or”."
    )
    presence: list[Presence] | None = Field(
        default=None, max_length=2, description="Repeat for “or”."
    )
    relationship: list[Relationship] | None = Field(
        default=None, max_length=3, description="Repeat for “or”."
    )
    q: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00]*$",
        description="Part of the name, in any case.",
        examples=["northwind"],
    )

    def apply(self, query: Select[Partner, str]) -> Select[Partner, str]:
        """Narrow the query."""
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
    """Bound to its workspace when it is made."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def get(self, partner_id: uuid.UUID) -> Partner:
        """One partner. Raises `NotFound`."""
        query = select(Partner).where(
            Partner.workspace_id == self.workspace_id, Partner.id == partner_id
        )
        return found(await self.session.scalar(query))

    async def lock(self, partner_id: uuid.UUID) -> Partner:
        """Lock and return one partner. Raises `NotFound`."""
        is_ours = Partner.workspace_id == self.workspace_id
        return found(await lock_partner(self.session, partner_id, is_ours))

    async def get_with_standing(self, partner_id: uuid.UUID) -> tuple[Partner, Standing]:
        """One partner and where its onboarding is. Raises `NotFound`."""
        query = self._with_standing().where(Partner.id == partner_id)
        partner, *told = found((await self.session.execute(query)).one_or_none())
        return partner, standing(*told)

    async def page(
        self, page: PageRequest, only: PartnerFilter, sort: str
    ) -> tuple[list[tuple[Partner, Standing]], str | None]:
        """Partners, each with where its onboarding is."""
        query = only.apply(self._with_standing())
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, SORTS[sort])
        return [(row[0], standing(row[1], row[2])) for row in rows], cursor

    async def assets_page(
        self, page: PageRequest, partner_id: uuid.UUID
    ) -> tuple[list[Any], str | None]:
        """Rows of asset, share and the number of this partner's users on it."""
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

    async def telling_validation(self, partner_id: uuid.UUID) -> TokenValidation | None:
        """The proof that the checklist is read from: the active token's, else the newest one.

        A dry run of some other token says nothing about a partner that is connected.
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

    def _with_standing(self) -> Select[Any]:
        return (
            select(Partner, onboarding_status, ActiveToken.health_reasons)
            .outerjoin(ActiveToken, join_condition)
            .where(Partner.workspace_id == self.workspace_id)
        )
