"""Our side of token requests: making links for a partner, watching and revoking them."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from partner_connector.db.models import TokenRequest
from partner_connector.features.audit.dependency import RecorderDep
from partner_connector.features.partners.repository import PartnerRepository
from partner_connector.features.token_requests import service
from partner_connector.features.token_requests.repository import TokenRequestRepository
from partner_connector.features.token_requests.schemas import (
    TokenRequestCreate,
    TokenRequestCreated,
    TokenRequestPage,
    TokenRequestView,
)
from partner_connector.ids import PartnerId, TokenRequestId, encode
from partner_connector.web.conditional import IfMatchDep, KnownTagsDep
from partner_connector.web.dependencies import (
    ContextDep,
    OnceDep,
    PageDep,
    ReadSession,
    TokensWriter,
    WriteSession,
)

router = APIRouter(prefix="/v1", tags=["Token requests"])


@router.get(
    "/partners/{partner_id}/token-requests",
    operation_id="listTokenRequests",
    summary="List a partner's token requests",
    response_model=TokenRequestPage,
)
async def list_token_requests(
    partner_id: PartnerId, caller: TokensWriter, session: ReadSession, page: PageDep
) -> Response:
    """Newest first, ended ones included. Codes are never shown again."""
    await PartnerRepository(session, caller.workspace_id).get(partner_id)
    token_requests = TokenRequestRepository(session, caller.workspace_id)
    rows, cursor = await token_requests.page(page, partner_id)
    return page.answer([_view(row) for row in rows], cursor)


@router.post(
    "/partners/{partner_id}/token-requests",
    operation_id="createTokenRequest",
    summary="Make a one-time link for a partner",
    status_code=201,
)
async def create_token_request(
    partner_id: PartnerId,
    body: TokenRequestCreate,
    _caller: TokensWriter,
    audit: RecorderDep,
    once: OnceDep,
    context: ContextDep,
    request: Request,
    response: Response,
) -> TokenRequestCreated:
    """The answer shows the link once. By it the partner's admin hands the token over, so that
    neither you nor a mailbox ever has it.
    """
    base = context.settings.public_url or str(request.base_url).rstrip("/")
    async with once.writing() as session:
        partner = await PartnerRepository(session, audit.workspace_id).get(partner_id)
        token_request, code = await service.create(
            session,
            audit,
            partner,
            lifetime=timedelta(seconds=body.expires_in_seconds),
            note=body.note,
            pepper=context.request_code_pepper,
        )
        response.headers["Location"] = f"/v1/token-requests/{encode('trq', token_request.id)}"
        derived = _derived(token_request)
        url = f"{base}/connect#{code}"
        view = TokenRequestCreated.of(token_request, **derived, code=code, url=url)
        return once.remember(view)


@router.get(
    "/token-requests/{request_id}",
    operation_id="getTokenRequest",
    summary="Get a token request",
)
async def get_token_request(
    request_id: TokenRequestId,
    caller: TokensWriter,
    session: ReadSession,
    known: KnownTagsDep,
) -> TokenRequestView:
    """How far the partner is with it."""
    token_requests = TokenRequestRepository(session, caller.workspace_id)
    return known.answer(_view(await token_requests.get(request_id)))


@router.delete(
    "/token-requests/{request_id}",
    operation_id="revokeTokenRequest",
    summary="Revoke a token request",
    status_code=204,
)
async def revoke_token_request(
    request_id: TokenRequestId,
    _caller: TokensWriter,
    audit: RecorderDep,
    session: WriteSession,
    only: IfMatchDep,
) -> Response:
    """Its code is refused from now on, and a token that is still being checked is not connected.
    One that has ended stays as it ended.
    """
    token_request = await service.lock(session, audit, request_id)
    only.require(_view(token_request))
    await service.revoke(session, audit, token_request)
    return Response(status_code=204)


def _view(row: TokenRequest) -> TokenRequestView:
    return TokenRequestView.of(row, **_derived(row))


def _derived(row: TokenRequest) -> dict[str, Any]:
    state = service.state_of(row)
    return {
        "state": state,
        "created_by": row.api_key_id,
        "ended_at": row.expires_at if state == "expired" else row.ended_at,
        "tries_left": row.max_tries - row.tries,
    }
