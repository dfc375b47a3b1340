"""`/v1/token-requests/current`: the token request that the code in the request belongs to."""

from fastapi import APIRouter, HTTPException, Response

from partner_connector.features.token_requests import service
from partner_connector.features.token_requests.hand_over.holder import (
    Holder,
    HolderIdempotentRequestDep,
    HolderRecorder,
)
from partner_connector.features.token_requests.hand_over.schemas import CurrentTokenRequest
from partner_connector.features.token_requests.hand_over.visibility import (
    current_token_request,
    without_other_owners,
)
from partner_connector.features.token_requests.repository import TokenRequestRepository
from partner_connector.features.tokens import intake
from partner_connector.features.tokens.answers import (
    COMPLETED_WHILE_WAITING,
    accepted_validation,
    completed_validation,
)
from partner_connector.features.tokens.schemas import TokenConnect, TokenValidationView
from partner_connector.web.conditional import KnownTagsDep, with_etag
from partner_connector.web.dependencies import ContextDep, ReadSession, WaitSeconds

PATH = "/v1/token-requests/current"

router = APIRouter(prefix=PATH, tags=["Hand-over"])


@router.get("", operation_id="getCurrentTokenRequest", summary="Get the token request of a code")
async def get_current_token_request(
    holder: Holder, session: ReadSession, context: ContextDep, known: KnownTagsDep
) -> CurrentTokenRequest:
    """Return all that the partner's admin needs to hand over a token: the guide, the checklist, the
    sealing key and the validation of the last token. Poll it after a hand-over to read the verdict.
    Reading changes nothing, so a link preview or a mail scanner does no harm. Fails with 410 when
    the link has ended.
    """
    service.require_not_ended(holder)
    token_requests = TokenRequestRepository(session, holder.workspace_id)
    return known.answer(
        await current_token_request(session, context, await token_requests.get(holder.id))
    )


@router.delete("", include_in_schema=False)
async def refuse_to_delete() -> None:
    """Refuse with 405. Else `current` would be read as the id of a request to revoke."""
    raise HTTPException(405)


@router.post("/open", operation_id="startHandOver", summary="Record that the link was opened")
async def open_current_token_request(
    holder: Holder,
    audit: HolderRecorder,
    idempotent: HolderIdempotentRequestDep,
    context: ContextDep,
    response: Response,
) -> CurrentTokenRequest:
    """Record that a person opened the link, so that its sender can see this. Send this request when
    you show the page to a person. Only the time of the first request is stored. Fails with 410 when
    the link has ended.
    """
    async with idempotent.writing() as session:
        opened = await service.record_opened(session, audit, holder.id)
        return idempotent.store_response(
            with_etag(response, await current_token_request(session, context, opened))
        )


@router.put(
    "/token",
    operation_id="putHandOverToken",
    summary="Hand over the token",
    status_code=202,
    responses=COMPLETED_WHILE_WAITING,
)
async def hand_over_token(
    body: TokenConnect,
    holder: Holder,
    audit: HolderRecorder,
    idempotent: HolderIdempotentRequestDep,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
) -> TokenValidationView:
    """Validate the token and, if it passes, connect the partner and end the link. If the token is
    refused, each check says what to do, and another token can be handed over while `tries_left` is
    not 0. Read the verdict at `/v1/token-requests/current`, or send `Prefer: wait` to get it in
    this response. Fails with 409 while another token of this link is being validated, and with 410
    when the link has ended.
    """
    async with idempotent.writing() as session:
        sealed = intake.sealed(body, context.keyring, context.settings)
        submitted = await service.hand_over(session, context.queue, audit, holder, sealed)
        # The validation's own path needs an API key, which the holder of a code does not have.
        idempotent.store_response(
            accepted_validation(response, submitted, location=PATH), held_for=wait
        )
    completed = await completed_validation(context, response, submitted, wait)
    return await idempotent.replace_response(without_other_owners(completed))
