"""Token operations of the API process: submit for validation, withdraw, disconnect."""

import uuid

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import Partner, Token, TokenValidation
from partner_connector.durable import tasks
from partner_connector.durable.engine import WorkQueue
from partner_connector.errors import NotFound, PreconditionFailed
from partner_connector.features.audit.service import Recorder
from partner_connector.features.sync_jobs.cancelling import cancel_halted_job
from partner_connector.features.tokens.repository import Submission, TokenRepository
from partner_connector.features.webhooks import events
from partner_connector.ids import encode


class TokenNotConnected(NotFound):
    """The request needs the partner's active token, and the partner has none."""

    code = "token_not_connected"
    title = "The partner is not connected"
    description = (
        "Connect the partner first: send a token that its admin generated to "
        "`PUT /v1/partners/{partner_id}/token`."
    )


async def submit(
    session: AsyncSession,
    queue: WorkQueue,
    audit: Recorder,
    submitted: Submission,
) -> TokenValidation:
    """Store the sealed token as a candidate and enqueue its validation, in one transaction."""
    tokens = TokenRepository(session, audit.workspace_id)
    candidate = await tokens.add_candidate(submitted)
    validation = await tokens.add_validation(candidate, submitted.purpose)
    owner_id = submitted.partner_id or submitted.integration_id
    await queue.enqueue(session, tasks.validate_token(validation.id, owner_id))
    details = {
        "purpose": submitted.purpose,
        "version": candidate.version,
        "validation": encode("val", validation.id),
    }
    await audit.record(
        session, action="token.handed_over", subject=owner_name(candidate), details=details
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
    """Return the pending validation of the same token, or submit the token.

    The caller holds the lock of the owner's row. Raises `PreconditionFailed` if
    `forbid_overwriting` is set and another token of the owner is being validated.
    """
    tokens = TokenRepository(session, audit.workspace_id)
    pending = await tokens.pending_validation(submitted)
    if pending is not None:
        return pending
    if forbid_overwriting and await tokens.has_pending_validation(submitted):
        raise PreconditionFailed
    return await submit(session, queue, audit, submitted)


def owner_name(token: Token) -> str:
    """Return the API id of the token's owner: a partner, or an integration for its own token."""
    if token.partner_id is None:
        return encode("int", token.integration_id)
    return encode("ptn", token.partner_id)


async def withdraw(tokens: TokenRepository, validation_id: uuid.UUID) -> None:
    """Wipe a token that is still being validated, so that it cannot become active.

    The caller holds the lock of the owner's row.
    """
    validation = await tokens.get_validation(validation_id)
    token = await tokens.get(validation.token_id)
    if token.state == "candidate":
        token.state = "wiped"
        token.sealed = None


async def require_active(tokens: TokenRepository, partner: Partner) -> Token:
    """Return the partner's active token. Raises `TokenNotConnected`."""
    token = await tokens.active(partner.integration_id, partner.id)
    if token is None:
        raise TokenNotConnected
    return token


async def disconnect(session: AsyncSession, audit: Recorder, partner: Partner) -> None:
    """Wipe the partner's active token and its candidates. Calls nothing in Meta, so it also works
    with a dead token.

    Raises `TokenNotConnected` if there is neither.
    """
    tokens = TokenRepository(session, audit.workspace_id)
    token = await tokens.active(partner.integration_id, partner.id)
    candidates = await tokens.candidates(partner.id)
    if token is None and not candidates:
        raise TokenNotConnected
    # A candidate that passes its validation later would connect the partner again.
    for candidate in candidates:
        candidate.state = "wiped"
        candidate.sealed = None
    if token is not None:
        await cancel_halted_job(session, partner)
        token.state = "revoked"
        token.sealed = None
        token.retired_at = now()
        await events.token_disconnected(session, token)
    subject = encode("ptn", partner.id)
    details = {"version": token.version if token else None, "called_off": len(candidates)}
    await audit.record(session, action="partner.disconnected", subject=subject, details=details)
