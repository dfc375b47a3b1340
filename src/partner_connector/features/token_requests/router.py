"""Token requests for API callers: create, list, read and revoke one-time links."""

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
    IdempotentRequestDep,
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
    """Return the partner's token requests, newest first, with those that have ended. Use it to see
    which links are still open. Codes are never shown again.
    """
    await PartnerRepository(session, caller.workspace_id).get(partner_id)
    token_requests = TokenRequestRepository(session, caller.workspace_id)
    rows, cursor = await token_requests.page(page, partner_id)
    return page.answer([_view(row) for row in rows], cursor)


@router.post(
    "/partners/{partner_id}/token-requests",
    operation_id="createTokenRequest",
    summary="Create a one-time link for a partner",
    status_code=201,
)
async def create_token_request(
    partner_id: PartnerId,
    body: TokenRequestCreate,
    _caller: TokensWriter,
    audit: RecorderDep,
    idempotent: IdempotentRequestDep,
    context: ContextDep,
    request: Request,
    response: Response,
) -> TokenRequestCreated:
    """Create a one-time link by which the partner's admin hands over the token, so that the token
    never passes through you or a mailbox. Send the `url` to the admin. The link and its code are
    shown in this response only.
    """
    base = context.settings.public_url or str(request.base_url).rstrip("/")
    async with idempotent.writing() as session:
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
        return idempotent.store_response(view)


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
    """Return the state of a token request: whether the link was opened, whether a token was handed
    over, and how many tries are left. Use `validation_id` to read why a token was refused.
    """
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
    preconditions: IfMatchDep,
) -> Response:
    """End the link. Its code is refused from now on, and a token of it that is still being
    validated does not connect the partner. A request that has already ended is not changed.
    """
    token_request = await service.lock(session, audit, request_id)
    preconditions.require(_view(token_request))
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
