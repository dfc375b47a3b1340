"""`/v1/partners`: who shares assets with us, how far their onboarding is, and which assets."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from partner_connector.db.models import Partner
from partner_connector.features.partners import onboarding
from partner_connector.features.partners.repository import PartnerFilter, PartnerRepository
from partner_connector.features.partners.schemas import (
    PartnerOnboarding,
    PartnerPage,
    PartnerView,
    SharedAssetCounts,
    SharedAssetPage,
    SharedAssetView,
)
from partner_connector.features.partners.status import Standing
from partner_connector.ids import PartnerId
from partner_connector.settings import Settings
from partner_connector.web.conditional import KnownTagsDep
from partner_connector.web.dependencies import ContextDep, PageDep, PartnersReader, ReadSession

router = APIRouter(prefix="/v1/partners", tags=["Partners"])

PartnerSort = Literal["name", "-name", "created_at", "-created_at"]


@router.get("", operation_id="listPartners", summary="List partners", response_model=PartnerPage)
async def list_partners(
    caller: PartnersReader,
    session: ReadSession,
    context: ContextDep,
    page: PageDep,
    only: Annotated[PartnerFilter, Query()],
    sort: Annotated[PartnerSort, Query(description="`-` means descending.")] = "name",
) -> Response:
    """Every business that Meta has listed for our integrations."""
    rows, cursor = await PartnerRepository(session, caller.workspace_id).page(page, only, sort)
    items = [partner_view(partner, standing, context.settings) for partner, standing in rows]
    return page.answer(items, cursor)


@router.get("/{partner_id}", operation_id="getPartner", summary="Get a partner")
async def get_partner(
    partner_id: PartnerId,
    caller: PartnersReader,
    session: ReadSession,
    context: ContextDep,
    known: KnownTagsDep,
) -> PartnerView:
    """One partner, with its onboarding status."""
    partners = PartnerRepository(session, caller.workspace_id)
    partner, standing = await partners.get_with_standing(partner_id)
    return known.answer(partner_view(partner, standing, context.settings))


@router.get(
    "/{partner_id}/onboarding",
    operation_id="getPartnerOnboarding",
    summary="Get a partner's onboarding checklist",
)
async def get_partner_onboarding(
    partner_id: PartnerId,
    caller: PartnersReader,
    session: ReadSession,
    context: ContextDep,
    known: KnownTagsDep,
) -> PartnerOnboarding:
    """Step by step: done or not, what was seen, and what to do next."""
    partners = PartnerRepository(session, caller.workspace_id)
    partner, standing = await partners.get_with_standing(partner_id)
    newest = await partners.telling_validation(partner.id)
    checklist = PartnerOnboarding(
        partner_id=partner.id,
        onboarding_status=standing.status,
        onboarding_status_label=context.settings.onboarding_label(standing.status),
        steps=onboarding.steps(partner, standing, newest, app_id=context.settings.meta_app_id),
    )
    return known.answer(checklist)


@router.get(
    "/{partner_id}/assets",
    operation_id="listPartnerAssets",
    summary="List the assets shared with a partner",
    response_model=SharedAssetPage,
)
async def list_partner_assets(
    partner_id: PartnerId, caller: PartnersReader, session: ReadSession, page: PageDep
) -> Response:
    """As of the partner's last check for updates."""
    partners = PartnerRepository(session, caller.workspace_id)
    await partners.get(partner_id)
    rows, cursor = await partners.assets_page(page, partner_id)
    items = [
        SharedAssetView.of(
            asset,
            direction=share.direction,
            permitted_tasks=share.permitted_tasks,
            user_count=user_count,
        )
        for asset, share, user_count, *_keys in rows
    ]
    return page.answer(items, cursor)


def partner_view(partner: Partner, standing: Standing, settings: Settings) -> PartnerView:
    """A partner row and its derived standing, as the wire shows them."""
    counts = partner.shared_asset_counts
    return PartnerView.of(
        partner,
        onboarding_status=standing.status,
        onboarding_status_label=settings.onboarding_label(standing.status),
        attention_reasons=standing.reasons,
        shared_asset_counts=SharedAssetCounts(
            **{name: counts.get(name) for name in SharedAssetCounts.model_fields}
        ),
    )
