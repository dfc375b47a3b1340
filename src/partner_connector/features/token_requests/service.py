"""The life of a token request.

    open → opened → submitted → accepted
                        ↕ rejected, up to `max_tries` times
    expired, by the clock · revoked, by us

Whoever changes one that may have a token under proof locks the partner's row first, as hand-overs,
disconnects and the worker's verdicts do: one of them at a time.
"""

import uuid
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector import credentials
from partner_connector.clock import now
from partner_connector.db.models import Partner, TokenRequest, TokenValidation
from partner_connector.durable.engine import WorkQueue
from partner_connector.features.audit.service import Recorder
from partner_connector.features.partners.repository import PartnerRepository
from partner_connector.features.token_requests.problems import HandOverUnderWay, TokenRequestEnded
from partner_connector.features.token_requests.repository import (
    TokenRequestRepository,
    lock_proven_by,
)
from partner_connector.features.tokens import service as tokens
from partner_connector.features.tokens.repository import Submission, TokenRepository
from partner_connector.ids import encode
from partner_connector.sealing.public import SealedToken

_NOT_ITS_FAULT = frozenset({"meta_refused", "internal_error", "superseded"})


def state_of(token_request: TokenRequest) -> str:
    """Its state at this moment. A token that was handed over in time is still judged afterwards."""
    waits_for_the_partner = token_request.ended_at is None and token_request.state != "submitted"
    if waits_for_the_partner and token_request.expires_at <= now():
        return "expired"
    return token_request.state


def has_ended(token_request: TokenRequest) -> bool:
    """Whether its code is good for nothing any more."""
    return token_request.ended_at is not None or state_of(token_request) == "expired"


def require_alive(token_request: TokenRequest) -> None:
    """Raise `TokenRequestEnded` where the code is good for nothing any more."""
    if has_ended(token_request):
        raise TokenRequestEnded(state_of(token_request))


async def create(
    session: AsyncSession,
    audit: Recorder,
    partner: Partner,
    *,
    lifetime: timedelta,
    note: str | None,
    pepper: bytes,
) -> tuple[TokenRequest, str]:
    """A new request and its code, which is nowhere afterwards."""
    minted = credentials.mint(pepper, credentials.CODE_PREFIX)
    token_request = TokenRequest(
        workspace_id=audit.workspace_id,
        partner_id=partner.id,
        api_key_id=audit.api_key_id,
        code_id=minted.key_id,
        digest=minted.digest,
        note=note,
        expires_at=now() + lifetime,
    )
    await TokenRequestRepository(session, audit.workspace_id).add(token_request)
    await _record(session, audit, "token_request.created", token_request)
    return token_request, minted.secret


async def lock(session: AsyncSession, audit: Recorder, token_request_id: uuid.UUID) -> TokenRequest:
    """The request for one who may change it, after its partner. Raises `NotFound`."""
    token_requests = TokenRequestRepository(session, audit.workspace_id)
    known = await token_requests.get(token_request_id)
    await PartnerRepository(session, audit.workspace_id).lock(known.partner_id)
    return await token_requests.lock(token_request_id)


async def revoke(session: AsyncSession, audit: Recorder, token_request: TokenRequest) -> None:
    """End a locked request, and withdraw its token if that is still being proven.

    One that has ended stays as it ended.
    """
    if has_ended(token_request):
        return
    if token_request.state == "submitted" and token_request.validation_id is not None:
        await tokens.withdraw(
            TokenRepository(session, audit.workspace_id), token_request.validation_id
        )
    _end(token_request, "revoked")
    await _record(session, audit, "token_request.revoked", token_request)


async def note_opened(
    session: AsyncSession, audit: Recorder, token_request_id: uuid.UUID
) -> TokenRequest:
    """Somebody looks at it; the first time is kept. Raises `TokenRequestEnded`."""
    token_requests = TokenRequestRepository(session, audit.workspace_id)
    token_request = await token_requests.lock(token_request_id)
    require_alive(token_request)
    if token_request.state == "open":
        token_request.state = "opened"
    if token_request.opened_at is None:
        token_request.opened_at = now()
        await _record(session, audit, "token_request.opened", token_request)
    return token_request


async def hand_over(
    session: AsyncSession,
    queue: WorkQueue,
    audit: Recorder,
    holder: TokenRequest,
    sealed: SealedToken,
) -> TokenValidation:
    """Have the partner's token proven, to connect it. Raises `TokenRequestEnded` and
    `HandOverUnderWay`.
    """
    partners = PartnerRepository(session, holder.workspace_id)
    partner = await partners.lock(holder.partner_id)
    token_requests = TokenRequestRepository(session, holder.workspace_id)
    token_request = await token_requests.lock(holder.id)
    require_alive(token_request)
    if token_request.state == "submitted":
        raise HandOverUnderWay
    submitted = Submission(partner.integration_id, partner.id, sealed, "connect")
    validation = await tokens.submit(session, queue, audit, submitted)
    token_request.state = "submitted"
    token_request.submitted_at = now()
    token_request.validation_id = validation.id
    return validation


async def settle(session: AsyncSession, audit: Recorder, validation: TokenValidation) -> None:
    """What a verdict means for the request that its token came by, in the verdict's transaction."""
    token_request = await lock_proven_by(session, validation.id)
    if token_request is None or token_request.ended_at is not None:
        return
    if validation.verdict != "not_connectable":
        _end(token_request, "accepted")
        await _record(session, audit, "token_request.accepted", token_request)
        return
    token_request.state = "rejected"
    token_request.tries += _says_something_of_the_token(validation)
    if token_request.tries >= token_request.max_tries:
        _end(token_request, "rejected")
    await _record(session, audit, "token_request.rejected", token_request)


def _says_something_of_the_token(validation: TokenValidation) -> bool:
    """Not where it could not be checked, or was overtaken: that takes no try from the partner."""
    return not any(check["code"] in _NOT_ITS_FAULT for check in validation.checks)


async def _record(
    session: AsyncSession, audit: Recorder, action: str, token_request: TokenRequest
) -> None:
    subject = encode("trq", token_request.id)
    told = {
        "partner_id": encode("ptn", token_request.partner_id),
        "tries_left": token_request.max_tries - token_request.tries,
    }
    await audit.record(session, action=action, subject=subject, details=told)


def _end(token_request: TokenRequest, state: str) -> None:
    token_request.state = state
    token_request.ended_at = now()
