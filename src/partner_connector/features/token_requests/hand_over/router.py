"""`/v1/token-requests/current`: the partner's side of a link, with the code as its credential."""

from fastapi import APIRouter, HTTPException, Response

from partner_connector.features.token_requests import service
from partner_connector.features.token_requests.hand_over.holder import (
    Holder,
    HolderOnce,
    HolderRecorder,
)
from partner_connector.features.token_requests.hand_over.schemas import CurrentTokenRequest
from partner_connector.features.token_requests.hand_over.visibility import sight, without_others
from partner_connector.features.token_requests.repository import TokenRequestRepository
from partner_connector.features.tokens import intake
from partner_connector.features.tokens.answers import (
    COMPLETED_WHILE_WAITING,
    accepted_proof,
    completed_proof,
)
from partner_connector.features.tokens.schemas import TokenConnect, TokenValidationView
from partner_connector.web.conditional import KnownTagsDep, tell
from partner_connector.web.dependencies import ContextDep, ReadSession, WaitSeconds

PATH = "/v1/token-requests/current"

router = APIRouter(prefix=PATH, tags=["Hand-over"])


@router.get("", operation_id="getCurrentTokenRequest", summary="See what is asked for")
async def get_current_token_request(
    holder: Holder, session: ReadSession, context: ContextDep, known: KnownTagsDep
) -> CurrentTokenRequest:
    """The guide, the checklist, the key to seal for, and what the checks said of the last token.
    Asking changes nothing: a preview or a scanner may ask any number of times.
    """
    service.require_alive(holder)
    token_requests = TokenRequestRepository(session, holder.workspace_id)
    return known.answer(await sight(session, context, await token_requests.get(holder.id)))


@router.delete("", include_in_schema=False)
async def refuse_to_delete() -> None:
    """Else `current` would be taken for the id of a request to revoke, and refused as none."""
    raise HTTPException(405)


@router.post("/open", operation_id="startHandOver", summary="Say that a person is here")
async def open_current_token_request(
    holder: Holder,
    audit: HolderRecorder,
    once: HolderOnce,
    context: ContextDep,
    response: Response,
) -> CurrentTokenRequest:
    """Records that a person opened the link, for those who wait. The first time is kept."""
    async with once.writing() as session:
        opened = await service.note_opened(session, audit, holder.id)
        return once.remember(tell(response, await sight(session, context, opened)))


@router.put(
    "/token",
    operation_id="putHandOverToken",
    summary="Hand the token over",
    status_code=202,
    responses=COMPLETED_WHILE_WAITING,
)
async def hand_over_token(
    body: TokenConnect,
    holder: Holder,
    audit: HolderRecorder,
    once: HolderOnce,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
) -> TokenValidationView:
    """The token is proven first. With a connectable verdict the partner is connected and the link
    has done its work; else each check says what to do, and the next token can be handed over.
    """
    async with once.writing() as session:
        sealed = intake.sealed(body, context.keyring, context.settings)
        submitted = await service.hand_over(session, context.queue, audit, holder, sealed)
        # Where the holder of a code can watch it: the proof's own address needs an API key.
        once.remember(accepted_proof(response, submitted, location=PATH), held_for=wait)
    completed = await completed_proof(context, response, submitted, wait)
    return await once.conclude(without_others(completed))
