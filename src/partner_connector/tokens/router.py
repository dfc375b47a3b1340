"""Connecting a partner: dry runs, the token itself, and the keys to seal it for."""

import uuid
from typing import Any

from fastapi import APIRouter, Response

from partner_connector import waiting
from partner_connector.audit.dependency import RecorderDep
from partner_connector.audit.service import Recorder
from partner_connector.context import ApiContext
from partner_connector.dependencies import (
    MAY_BE_LEFT_OUT,
    AnyCaller,
    ContextDep,
    PartnersReader,
    ReadSession,
    SyncsApprover,
    TokensWriter,
    WaitSeconds,
    WriteSession,
)
from partner_connector.ids import PartnerId, ValidationId, encode
from partner_connector.models import Capability, Token, TokenValidation
from partner_connector.partners.repository import PartnerRepository
from partner_connector.sealing.keyring import ALGORITHM
from partner_connector.sealing.public import SealingKey
from partner_connector.sync_jobs.repository import SyncJobRepository
from partner_connector.tokens import intake, service
from partner_connector.tokens.narrowing import accept
from partner_connector.tokens.repository import TokenRepository
from partner_connector.tokens.schemas import (
    CapabilityAcceptance,
    PartnerDisconnected,
    PartnerTokenView,
    ResidualAccess,
    SealingKeyList,
    SealingKeyView,
    SystemUserView,
    TokenConnect,
    TokenValidationView,
)

router = APIRouter(prefix="/v1", tags=["Tokens"])

COMPLETED_WHILE_WAITING: dict[int | str, dict[str, Any]] = {
    200: {"model": TokenValidationView, "description": "Completed while waiting."}
}


@router.post(
    "/partners/{partner_id}/token-validations",
    operation_id="validatePartnerToken",
    summary="Dry-run a partner's token",
    status_code=202,
    responses=COMPLETED_WHILE_WAITING,
)
async def validate_partner_token(
    partner_id: PartnerId,
    body: TokenConnect,
    _caller: TokensWriter,
    audit: RecorderDep,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
) -> TokenValidationView:
    """Every check that connecting would make, and nothing is connected."""
    return await _submit(partner_id, body, audit, context, response, wait, "dry_run")


@router.put(
    "/partners/{partner_id}/token",
    operation_id="putPartnerToken",
    summary="Connect a partner, or replace its token",
    status_code=202,
    responses=COMPLETED_WHILE_WAITING,
)
async def put_partner_token(
    partner_id: PartnerId,
    body: TokenConnect,
    _caller: TokensWriter,
    audit: RecorderDep,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
) -> TokenValidationView:
    """The token is proven first. It is active once the validation is `completed` with a
    connectable verdict; a token that it replaces stays active until then. The first check for
    updates starts by itself.
    """
    return await _submit(partner_id, body, audit, context, response, wait, "connect")


async def _submit(
    partner_id: uuid.UUID,
    body: TokenConnect,
    audit: Recorder,
    context: ApiContext,
    response: Response,
    wait: int,
    purpose: str,
) -> TokenValidationView:
    settings = context.settings
    sealed = intake.sealed(body, context.keyring, require_sealed=settings.require_sealed_tokens)
    async with context.database.writing() as session:
        partner = await PartnerRepository(session, audit.workspace_id).get_for_update(partner_id)
        submitted = await service.submit(
            session,
            context.queue,
            audit,
            integration_id=partner.integration_id,
            partner_id=partner.id,
            sealed=sealed,
            purpose=purpose,
        )
    return await answer_with_validation(context, response, submitted, wait)


async def answer_with_validation(
    context: ApiContext, response: Response, submitted: TokenValidation, wait: int
) -> TokenValidationView:
    """The proof as it is now, or once it is completed where the client prefers to wait."""

    async def read() -> TokenValidation:
        async with context.database.reading() as session:
            tokens = TokenRepository(session, submitted.workspace_id)
            return await tokens.get_validation(submitted.id)

    def is_final(row: TokenValidation) -> bool:
        return row.status == "completed"

    validation = await waiting.until(is_final, read, wait, context.draining)
    waiting.accepted(
        response,
        location=validation_location(validation.id),
        is_final=is_final(validation),
        waited=wait,
    )
    return TokenValidationView.model_validate(validation)


def validation_location(validation_id: uuid.UUID) -> str:
    """Where a proof can be watched."""
    return f"/v1/token-validations/{encode('val', validation_id)}"


@router.get(
    "/token-validations/{validation_id}",
    operation_id="getTokenValidation",
    summary="Get a token validation",
)
async def get_token_validation(
    validation_id: ValidationId, caller: TokensWriter, session: ReadSession
) -> TokenValidationView:
    """The verdict, and each check with what to do about it."""
    validation = await TokenRepository(session, caller.workspace_id).get_validation(validation_id)
    return TokenValidationView.model_validate(validation)


@router.get(
    "/partners/{partner_id}/token",
    operation_id="getPartnerToken",
    summary="Get facts about a partner's token",
)
async def get_partner_token(
    partner_id: PartnerId, caller: PartnersReader, session: ReadSession
) -> PartnerTokenView:
    """Facts only. No operation returns a token or a part of one."""
    partner = await PartnerRepository(session, caller.workspace_id).get(partner_id)
    tokens = TokenRepository(session, caller.workspace_id)
    token = await service.require_active(tokens, partner)
    return token_view(token, await tokens.capability(partner.id))


def token_view(token: Token, capability: Capability | None) -> PartnerTokenView:
    """A token row without its ciphertext, and what the token sees less than it did."""
    derived: dict[str, Any] = {
        "system_user": SystemUserView(
            id=token.system_user_id, name=token.system_user_name, role=token.system_user_role
        ),
        "narrowed": capability.narrowed if capability else [],
        "capability_checked_at": capability.observed_at if capability else None,
    }
    names = set(PartnerTokenView.model_fields) - set(derived)
    return PartnerTokenView(**derived, **{name: getattr(token, name) for name in names})


@router.post(
    "/partners/{partner_id}/token/accept-capabilities",
    operation_id="createCapabilityAcceptance",
    dependencies=[MAY_BE_LEFT_OUT],
    summary="Accept that a token sees less",
)
async def accept_token_capabilities(
    partner_id: PartnerId,
    caller: SyncsApprover,
    session: WriteSession,
    audit: RecorderDep,
    body: CapabilityAcceptance | None = None,
) -> PartnerTokenView:
    """For a narrowing that is meant: from now on what the token sees is taken for all there is, and
    people whom it does not see are removed again.
    """
    partner = await PartnerRepository(session, caller.workspace_id).get(partner_id)
    tokens = TokenRepository(session, caller.workspace_id)
    token = await service.require_active(tokens, partner)
    expected = body.narrowed if body else None
    capability = await accept(tokens, audit, partner, token, expected)
    return token_view(token, capability)


@router.delete(
    "/partners/{partner_id}/token",
    operation_id="disconnectPartner",
    summary="Disconnect a partner",
)
async def disconnect_partner(
    partner_id: PartnerId,
    _caller: TokensWriter,
    audit: RecorderDep,
    session: WriteSession,
    context: ContextDep,
) -> PartnerDisconnected:
    """Wipes the sealed token at once and keeps the history. Nothing changes in Meta: the answer
    says what still works there and how to revoke it.
    """
    # Jobs are locked before their partners, by everybody.
    await SyncJobRepository(session, audit.workspace_id).halted(partner_id)
    partner = await PartnerRepository(session, audit.workspace_id).get_for_update(partner_id)
    await service.disconnect(session, audit, partner)
    return PartnerDisconnected(
        onboarding_status="pending_onboarding",
        onboarding_status_label=context.settings.onboarding_label("pending_onboarding"),
        residual_access=residual_access(partner.name),
    )


def residual_access(partner_name: str) -> list[ResidualAccess]:
    """What disconnecting here leaves in Meta."""
    return [
        ResidualAccess(
            what="The system user's access token is still valid in Meta.",
            where=f"Meta Business Manager of {partner_name}: Settings > Users > System users",
            how_to_revoke="The partner's admin selects the system user and clicks Revoke tokens.",
        ),
        ResidualAccess(
            what="The app is still listed in the partner's business.",
            where=f"Meta Business Manager of {partner_name}: Settings > Accounts > Apps",
            how_to_revoke="The partner's admin selects the app and clicks Remove.",
        ),
        ResidualAccess(
            what="The assets are still shared, and the partner's people still have access.",
            where="Your Meta Business Manager: Settings > Users > Partners",
            how_to_revoke="Select the partner and remove the assets that it no longer needs.",
        ),
    ]


@router.get(
    "/sealing-keys", operation_id="listSealingKeys", summary="List sealing keys", tags=["Sealing"]
)
async def list_sealing_keys(_caller: AnyCaller, context: ContextDep) -> SealingKeyList:
    """Every key that a token may be sealed for: the current one, and those that were current until
    a short while ago.
    """
    items = [key_view(key) for key in context.keyring.accepted]
    return SealingKeyList(items=items, next_cursor=None)


@router.get(
    "/sealing-keys/current",
    operation_id="getCurrentSealingKey",
    summary="Get the current sealing key",
    tags=["Sealing"],
)
async def get_current_sealing_key(_caller: AnyCaller, context: ContextDep) -> SealingKeyView:
    """Seal for this one, with `crypto_box_seal` of any libsodium."""
    return key_view(context.keyring.current)


def key_view(key: SealingKey) -> SealingKeyView:
    """A public key as clients need it."""
    return SealingKeyView(
        key_id=key.key_id,
        algorithm=ALGORITHM,
        public_key=key.public_key,
        state=key.state,
        created_at=key.created_at,
        expires_at=key.expires_at,
    )
