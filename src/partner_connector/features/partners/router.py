"""`/v1/partners`: partners, their onboarding status and their shared assets."""

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
from partner_connector.features.partners.status import OnboardingState
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
    filters: Annotated[PartnerFilter, Query()],
    sort: Annotated[PartnerSort, Query(description="Sort order. `-` means descending.")] = "name",
) -> Response:
    """Return the businesses that Meta lists as partners of your integrations. Use it to find a
    partner's id and to see which partners are connected. A partner that Meta no longer lists stays
    in the list with the presence `no_longer_shared`.
    """
    rows, cursor = await PartnerRepository(session, caller.workspace_id).page(page, filters, sort)
    items = [partner_view(partner, state, context.settings) for partner, state in rows]
    return page.answer(items, cursor)


@router.get("/{partner_id}", operation_id="getPartner", summary="Get a partner")
async def get_partner(
    partner_id: PartnerId,
    caller: PartnersReader,
    session: ReadSession,
    context: ContextDep,
    known: KnownTagsDep,
) -> PartnerView:
    """Return one partner with its onboarding status, its numbers of shared assets and users, and
    the time of its last check for updates. `attention_reasons` says what is wrong with its token.
    """
    partners = PartnerRepository(session, caller.workspace_id)
    partner, state = await partners.get_with_onboarding_state(partner_id)
    return known.answer(partner_view(partner, state, context.settings))


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
    """Return the steps from app access to the first complete check for updates. Each step says
    whether it is done, what was seen and what to do next. Steps in Meta are derived from the last
    validation of the active token, or of any token while the partner is not connected. Before the
    first validation they are `unknown`.
    """
    partners = PartnerRepository(session, caller.workspace_id)
    partner, state = await partners.get_with_onboarding_state(partner_id)
    newest = await partners.checklist_validation(partner.id)
    checklist = PartnerOnboarding(
        partner_id=partner.id,
        onboarding_status=state.status,
        onboarding_status_label=context.settings.onboarding_label(state.status),
        steps=onboarding.steps(partner, state, newest, app_id=context.settings.meta_app_id),
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
    """Return the assets shared between your business and the partner, in both directions. The list
    is as of the partner's last check for updates.
    """
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


def partner_view(partner: Partner, state: OnboardingState, settings: Settings) -> PartnerView:
    """Return a partner row and its onboarding status as the API shows them."""
    counts = partner.shared_asset_counts
    return PartnerView.of(
        partner,
        onboarding_status=state.status,
        onboarding_status_label=settings.onboarding_label(state.status),
        attention_reasons=state.reasons,
        shared_asset_counts=SharedAssetCounts(
            **{name: counts.get(name) for name in SharedAssetCounts.model_fields}
        ),
    )
