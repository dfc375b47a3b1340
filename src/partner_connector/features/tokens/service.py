"""What happens to a token on the API's side: it is sealed, kept and sent to be proven."""

import uuid

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import Partner, Token, TokenValidation
from partner_connector.durable import tasks
from partner_connector.durable.engine import WorkQueue
from partner_connector.errors import NotFound, PreconditionFailed
from partner_connector.features.audit.service import Recorder
from partner_connector.features.sync_jobs.cancelling import call_off_stale_plan
from partner_connector.features.tokens.repository import Submission, TokenRepository
from partner_connector.features.webhooks import events
from partner_connector.ids import encode


class TokenNotConnected(NotFound):
    """The partner exists, but has no active token."""

    code = "token_not_connected"
    title = "The partner is not connected"
    description = "Connect the partner first: PUT a token that its admin generated."


async def submit(
    session: AsyncSession,
    queue: WorkQueue,
    audit: Recorder,
    submitted: Submission,
) -> TokenValidation:
    """Keep the sealed token as a candidate and have it proven, in one transaction."""
    tokens = TokenRepository(session, audit.workspace_id)
    candidate = await tokens.add_candidate(submitted)
    validation = await tokens.add_validation(candidate, submitted.purpose)
    owner_id = submitted.partner_id or submitted.integration_id
    await queue.enqueue(session, tasks.validate_token(validation.id, owner_id))
    told = {
        "purpose": submitted.purpose,
        "version": candidate.version,
        "validation": encode("val", validation.id),
    }
    await audit.record(
        session, action="token.handed_over", subject=owner_name(candidate), details=told
    )
    return validation


async def join_or_submit(
    session: AsyncSession,
    queue: WorkQueue,
    audit: Recorder,
    submitted: Submission,
    *,
    forbid_overwriting: bool,
) -> TokenValidation:
    """The same, but whoever hands a token over that is being proven already joins that proof.

    The caller holds the owner's row locked. Raises `PreconditionFailed` where another token is on
    its way and `forbid_overwriting` is set.
    """
    tokens = TokenRepository(session, audit.workspace_id)
    under_way = await tokens.under_proof(submitted)
    if under_way is not None:
        return under_way
    if forbid_overwriting and await tokens.is_any_under_proof(submitted):
        raise PreconditionFailed
    return await submit(session, queue, audit, submitted)


def owner_name(token: Token) -> str:
    """Whose token it is, by its id in the API."""
    if token.partner_id is None:
        return encode("int", token.integration_id)
    return encode("ptn", token.partner_id)


async def withdraw(tokens: TokenRepository, validation_id: uuid.UUID) -> None:
    """Forget a token that is still being proven, so that it connects nobody.

    The caller holds the owner's row locked.
    """
    validation = await tokens.get_validation(validation_id)
    token = await tokens.get(validation.token_id)
    if token.state == "candidate":
        token.state = "wiped"
        token.sealed = None


async def require_active(tokens: TokenRepository, partner: Partner) -> Token:
    """The token that the partner is connected with. Raises `TokenNotConnected`."""
    token = await tokens.active(partner.integration_id, partner.id)
    if token is None:
        raise TokenNotConnected
    return token


async def disconnect(session: AsyncSession, audit: Recorder, partner: Partner) -> None:
    """Forget the token. Touches nothing in Meta and does not need the token to be alive.

    Raises `TokenNotConnected`.
    """
    tokens = TokenRepository(session, audit.workspace_id)
    token = await tokens.active(partner.integration_id, partner.id)
    candidates = await tokens.candidates(partner.id)
    if token is None and not candidates:
        raise TokenNotConnected
    # One that is still being proven must not connect the partner again behind our back.
    for candidate in candidates:
        candidate.state = "wiped"
        candidate.sealed = None
    if token is not None:
        await call_off_stale_plan(session, partner)
        token.state = "revoked"
        token.sealed = None
        token.retired_at = now()
        await events.token_disconnected(session, token)
    subject = encode("ptn", partner.id)
    told = {"version": token.version if token else None, "called_off": len(candidates)}
    await audit.record(session, action="partner.disconnected", subject=subject, details=told)
