"""Effects of a verdict, in one transaction: the token's facts and state, and the first sync."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import Integration, Partner, Token, TokenValidation
from partner_connector.db.sql import storable_text
from partner_connector.durable.engine import WorkQueue
from partner_connector.features.audit.service import Recorder
from partner_connector.features.integrations.health import record_own_token_health
from partner_connector.features.sync_jobs import service as sync_jobs
from partner_connector.features.sync_jobs.cancelling import cancel_halted_job
from partner_connector.features.token_requests import service as token_requests
from partner_connector.features.tokens.health import reason, set_health
from partner_connector.features.tokens.repository import TokenRepository
from partner_connector.features.tokens.service import owner_name
from partner_connector.features.webhooks import events
from partner_connector.graph import REQUIRED_SCOPES
from partner_connector.ids import encode
from partner_connector.sealing.private import PrivateKeyring
from partner_connector.worker import token_decryption
from partner_connector.worker.validation.evidence import Evidence
from partner_connector.worker.validation.health import health_of
from partner_connector.worker.validation.verdicts import Check, verdict


async def store_verdict(
    session: AsyncSession,
    queue: WorkQueue,
    keyring: PrivateKeyring,
    audit: Recorder,
    *,
    validation: TokenValidation,
    token: Token,
    checks: Sequence[Check],
    evidence: Evidence | None,
    plaintext: str | None,
    fingerprint: str | None,
) -> None:
    """Store the verdict. Then activate the token, or wipe it."""
    complete(validation, checks)
    token.fingerprint = fingerprint
    token.last_checked_at = validation.completed_at
    if evidence is not None:
        store_facts(token, evidence)
    connectable = validation.verdict != "not_connectable"
    set_health(token, *health_of(token, checks, [], now()))
    if validation.purpose == "integration":
        await _store_integration_health(session, validation, token, checks)
    action = "token.refused"
    if connectable and validation.purpose != "dry_run" and plaintext is not None:
        action = "token.activated"
        await _activate(session, token, plaintext, keyring)
        await _start_first_sync(session, queue, token)
    else:
        token_decryption.wipe(token)
    # Lock order: `lock_token_request` comes after `lock_parent_job` and before the audit event.
    await token_requests.apply_verdict(session, audit, validation)
    if validation.purpose != "dry_run":
        details = {
            "version": token.version,
            "validation": encode("val", validation.id),
            "verdict": validation.verdict,
            "fingerprint": token.fingerprint,
            "system_user_id": token.system_user_id,
        }
        await audit.record(session, action=action, subject=owner_name(token), details=details)


def complete(validation: TokenValidation, checks: Sequence[Check]) -> None:
    """Mark the validation as completed, with its verdict and checks."""
    validation.status = "completed"
    validation.verdict = verdict(checks)
    validation.checks = [check.as_json() for check in checks]
    validation.completed_at = now()
    validation.resume_at = None


def store_facts(token: Token, evidence: Evidence) -> None:
    """Store the facts that Meta showed about the token. Other facts stay unchanged."""
    inspection = evidence.inspection
    token.app_id = evidence.token_app_id or token.app_id
    token.type = (inspection.type if inspection else None) or token.type
    token.system_user_id = evidence.system_user_id or token.system_user_id
    row: dict[str, Any] = dict(evidence.system_user or {})
    token.system_user_name = storable_text(row.get("name") or "", 500) or token.system_user_name
    token.system_user_role = storable_text(row.get("role") or "", 64) or token.system_user_role
    if inspection is not None:
        token.expires_at = inspection.expires_at
        token.data_access_expires_at = inspection.data_access_expires_at
    scopes = evidence.granted_scopes
    if scopes is not None:
        token.scopes = sorted(scopes)
        granular = inspection.granular_as_json() if inspection is not None else None
        token.granular_scopes = granular or token.granular_scopes
        token.missing_scopes = sorted(REQUIRED_SCOPES - scopes)
        token.excess_scopes = sorted(scopes - REQUIRED_SCOPES)


async def _activate(
    session: AsyncSession, token: Token, plaintext: str, keyring: PrivateKeyring
) -> None:
    """Activate the token, and wipe the one it replaces in the same transaction."""
    tokens = TokenRepository(session, token.workspace_id)
    previous = await tokens.active(token.integration_id, token.partner_id)
    if previous is not None and previous.id != token.id:
        previous.sealed = None
        previous.state = "superseded"
        previous.retired_at = now()
        # A unique index allows one active token for each owner: retire the old one first.
        await session.flush()
    token_decryption.encrypt_at_rest(token, plaintext, keyring)
    token.state = "active"
    token.activated_at = now()
    # The first check for updates compares with these facts; daily token checks do not change them.
    token.access_at_activation = {
        "scopes": token.scopes,
        "granular": token.granular_scopes,
        "role": token.system_user_role,
    }
    await session.flush()
    await events.token_connected(session, token, previous)


async def _start_first_sync(session: AsyncSession, queue: WorkQueue, token: Token) -> None:
    if token.partner_id is None:
        return
    partner = await session.get_one(Partner, token.partner_id)
    await cancel_halted_job(session, partner)
    await sync_jobs.request_partner_sync(session, queue, partner, trigger="connect")


async def _store_integration_health(
    session: AsyncSession, validation: TokenValidation, token: Token, checks: Sequence[Check]
) -> None:
    integration = await session.get_one(Integration, validation.integration_id)
    if validation.verdict != "not_connectable":
        integration.app_id = token.app_id or integration.app_id
    elif await TokenRepository(session, token.workspace_id).active(
        integration.id, token.partner_id
    ):
        # The refused token never became active, so the health of the integration stays.
        return
    problems = [check for check in checks if check.status in {"fail", "warn"}]
    reasons = [reason(check.code, check.detail, check.remedy) for check in problems]
    record_own_token_health(integration, token.health, reasons)
