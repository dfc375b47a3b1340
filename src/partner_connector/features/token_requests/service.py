"""States of a token request and the changes between them.

    open → opened → submitted → accepted
                        ↕ rejected, up to `max_tries` times
    expired, by time · revoked, by a caller

A change of a request whose token may be in validation locks the partner's row first. Hand-overs,
disconnects and the worker's verdicts lock it too, so only one of them runs at a time.
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
    lock_by_validation,
)
from partner_connector.features.tokens import service as tokens
from partner_connector.features.tokens.repository import Submission, TokenRepository
from partner_connector.ids import encode
from partner_connector.sealing.public import SealedToken

# Codes of checks that say nothing about the token.
_CODES_WITHOUT_VERDICT = frozenset({"meta_refused", "internal_error", "superseded"})


def state_of(token_request: TokenRequest) -> str:
    """Return the state now. A token handed over before the expiry is still validated after it."""
    waits_for_the_partner = token_request.ended_at is None and token_request.state != "submitted"
    if waits_for_the_partner and token_request.expires_at <= now():
        return "expired"
    return token_request.state


def has_ended(token_request: TokenRequest) -> bool:
    """Return whether the code is refused from now on."""
    return token_request.ended_at is not None or state_of(token_request) == "expired"


def require_not_ended(token_request: TokenRequest) -> None:
    """Raise `TokenRequestEnded` if the request has ended."""
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
    """Add a request. Return it with its code, which is not stored."""
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
    """Lock the request's partner, then the request, and return the request. Raises `NotFound`."""
    token_requests = TokenRequestRepository(session, audit.workspace_id)
    unlocked = await token_requests.get(token_request_id)
    await PartnerRepository(session, audit.workspace_id).lock(unlocked.partner_id)
    return await token_requests.lock(token_request_id)


async def revoke(session: AsyncSession, audit: Recorder, token_request: TokenRequest) -> None:
    """End a locked request, and withdraw its token if that is still being validated.

    A request that has ended already is not changed.
    """
    if has_ended(token_request):
        return
    if token_request.state == "submitted" and token_request.validation_id is not None:
        await tokens.withdraw(
            TokenRepository(session, audit.workspace_id), token_request.validation_id
        )
    _end(token_request, "revoked")
    await _record(session, audit, "token_request.revoked", token_request)


async def record_opened(
    session: AsyncSession, audit: Recorder, token_request_id: uuid.UUID
) -> TokenRequest:
    """Record that a person opened the link. The first time is kept. Raises `TokenRequestEnded`."""
    token_requests = TokenRequestRepository(session, audit.workspace_id)
    token_request = await token_requests.lock(token_request_id)
    require_not_ended(token_request)
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
    """Submit the partner's token for validation; if it passes, the partner is connected with it.

    Raises `TokenRequestEnded` and `HandOverUnderWay`.
    """
    partners = PartnerRepository(session, holder.workspace_id)
    partner = await partners.lock(holder.partner_id)
    token_requests = TokenRequestRepository(session, holder.workspace_id)
    token_request = await token_requests.lock(holder.id)
    require_not_ended(token_request)
    if token_request.state == "submitted":
        raise HandOverUnderWay
    submitted = Submission(partner.integration_id, partner.id, sealed, "connect")
    validation = await tokens.submit(session, queue, audit, submitted)
    token_request.state = "submitted"
    token_request.submitted_at = now()
    token_request.validation_id = validation.id
    return validation


async def apply_verdict(
    session: AsyncSession, audit: Recorder, validation: TokenValidation
) -> None:
    """Accept or reject the request that the validated token came by, if there is one.

    Runs in the transaction that stores the verdict.
    """
    token_request = await lock_by_validation(session, validation.id)
    if token_request is None or token_request.ended_at is not None:
        return
    if validation.verdict != "not_connectable":
        _end(token_request, "accepted")
        await _record(session, audit, "token_request.accepted", token_request)
        return
    token_request.state = "rejected"
    token_request.tries += _is_about_the_token(validation)
    if token_request.tries >= token_request.max_tries:
        _end(token_request, "rejected")
    await _record(session, audit, "token_request.rejected", token_request)


def _is_about_the_token(validation: TokenValidation) -> bool:
    """Return False if the token could not be checked or was superseded: that costs no try."""
    return not any(check["code"] in _CODES_WITHOUT_VERDICT for check in validation.checks)


async def _record(
    session: AsyncSession, audit: Recorder, action: str, token_request: TokenRequest
) -> None:
    subject = encode("trq", token_request.id)
    details = {
        "partner_id": encode("ptn", token_request.partner_id),
        "tries_left": token_request.max_tries - token_request.tries,
    }
    await audit.record(session, action=action, subject=subject, details=details)


def _end(token_request: TokenRequest, state: str) -> None:
    token_request.state = state
    token_request.ended_at = now()
