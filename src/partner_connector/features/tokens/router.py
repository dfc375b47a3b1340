"""Connecting a partner: dry runs, and the token itself."""

from fastapi import APIRouter, Response

from partner_connector.db.models import Capability, Partner, Token, TokenValidation
from partner_connector.features.audit.dependency import RecorderDep
from partner_connector.features.audit.service import Recorder
from partner_connector.features.partners.repository import PartnerRepository
from partner_connector.features.sync_jobs.repository import SyncJobRepository
from partner_connector.features.tokens import intake, service
from partner_connector.features.tokens.answers import (
    COMPLETED_WHILE_WAITING,
    accepted_proof,
    completed_proof,
)
from partner_connector.features.tokens.narrowing import accept
from partner_connector.features.tokens.repository import Submission, TokenRepository
from partner_connector.features.tokens.schemas import (
    CapabilityAcceptance,
    PartnerDisconnected,
    PartnerTokenView,
    ResidualAccess,
    SystemUserView,
    TokenConnect,
    TokenValidationView,
)
from partner_connector.ids import PartnerId, ValidationId
from partner_connector.web.conditional import (
    IfMatchDep,
    IfMatchOrNoneDep,
    KnownTagsDep,
    tell,
)
from partner_connector.web.context import ApiContext
from partner_connector.web.dependencies import (
    MAY_BE_LEFT_OUT,
    ContextDep,
    OnceDep,
    PartnersReader,
    ReadSession,
    SyncsApprover,
    TokensWriter,
    WaitSeconds,
    WriteSession,
)

router = APIRouter(prefix="/v1", tags=["Tokens"])


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
    once: OnceDep,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
) -> TokenValidationView:
    """Every check that connecting would make, and nothing is connected."""
    async with once.writing() as session:
        partner = await PartnerRepository(session, audit.workspace_id).lock(partner_id)
        submitted = await _submit(session, context, audit, partner, body, "dry_run")
        once.remember(accepted_proof(response, submitted), held_for=wait)
    return await once.conclude(await completed_proof(context, response, submitted, wait))


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
    once: OnceDep,
    only: IfMatchOrNoneDep,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
) -> TokenValidationView:
    """The token is proven first. It is active once the validation is `completed` with a
    connectable verdict; a token that it replaces stays active until then. The first check for
    updates starts by itself. `If-None-Match: *` connects only a partner that is not connected.
    """
    async with once.writing() as session:
        partner = await PartnerRepository(session, audit.workspace_id).lock(partner_id)
        if only:
            only.require(await _token_view_if_any(session, partner))
        submitted = await _submit(
            session,
            context,
            audit,
            partner,
            body,
            "connect",
            forbid_overwriting=only.forbid_overwriting,
        )
        once.remember(accepted_proof(response, submitted), held_for=wait)
    return await once.conclude(await completed_proof(context, response, submitted, wait))


async def _submit(
    session: WriteSession,
    context: ApiContext,
    audit: Recorder,
    partner: Partner,
    body: TokenConnect,
    purpose: str,
    *,
    forbid_overwriting: bool = False,
) -> TokenValidation:
    sealed = intake.sealed(body, context.keyring, context.settings)
    submitted = Submission(partner.integration_id, partner.id, sealed, purpose)
    return await service.join_or_submit(
        session, context.queue, audit, submitted, forbid_overwriting=forbid_overwriting
    )


async def _token_view_if_any(session: WriteSession, partner: Partner) -> PartnerTokenView | None:
    tokens = TokenRepository(session, partner.workspace_id)
    token = await tokens.active(partner.integration_id, partner.id)
    return None if token is None else token_view(token, await tokens.capability(partner.id))


@router.get(
    "/token-validations/{validation_id}",
    operation_id="getTokenValidation",
    summary="Get a token validation",
)
async def get_token_validation(
    validation_id: ValidationId,
    caller: TokensWriter,
    session: ReadSession,
    known: KnownTagsDep,
) -> TokenValidationView:
    """The verdict, and each check with what to do about it. Of a token that is not in use it is
    kept for 30 days, unless the operator chose otherwise.
    """
    validation = await TokenRepository(session, caller.workspace_id).get_validation(validation_id)
    return known.answer(TokenValidationView.model_validate(validation))


@router.get(
    "/partners/{partner_id}/token",
    operation_id="getPartnerToken",
    summary="Get facts about a partner's token",
)
async def get_partner_token(
    partner_id: PartnerId, caller: PartnersReader, session: ReadSession, known: KnownTagsDep
) -> PartnerTokenView:
    """Facts only. No operation returns a token or a part of one."""
    partner = await PartnerRepository(session, caller.workspace_id).get(partner_id)
    tokens = TokenRepository(session, caller.workspace_id)
    token = await service.require_active(tokens, partner)
    return known.answer(token_view(token, await tokens.capability(partner.id)))


def token_view(token: Token, capability: Capability | None) -> PartnerTokenView:
    """A token row without its ciphertext, and what the token sees less than it did."""
    return PartnerTokenView.of(
        token,
        system_user=SystemUserView(
            id=token.system_user_id, name=token.system_user_name, role=token.system_user_role
        ),
        narrowed=capability.narrowed if capability else [],
        capability_checked_at=capability.observed_at if capability else None,
    )


@router.post(
    "/partners/{partner_id}/token/accept-capabilities",
    operation_id="createCapabilityAcceptance",
    dependencies=[MAY_BE_LEFT_OUT],
    summary="Accept that a token sees less",
)
async def accept_token_capabilities(
    partner_id: PartnerId,
    caller: SyncsApprover,
    once: OnceDep,
    audit: RecorderDep,
    response: Response,
    body: CapabilityAcceptance | None = None,
) -> PartnerTokenView:
    """For a narrowing that is meant: from now on what the token sees is taken for all there is, and
    people whom it does not see are removed again.
    """
    expected = body.narrowed if body else None
    async with once.writing() as session:
        # Whoever changes a token holds its owner's row.
        partners = PartnerRepository(session, caller.workspace_id)
        partner = await partners.lock(partner_id)
        tokens = TokenRepository(session, caller.workspace_id)
        token = await service.require_active(tokens, partner)
        capability = await accept(tokens, audit, partner, token, expected)
        return once.remember(tell(response, token_view(token, capability)))


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
    only: IfMatchDep,
    context: ContextDep,
) -> PartnerDisconnected:
    """Wipes the sealed token at once and keeps the history. Nothing changes in Meta: the answer
    says what still works there and how to revoke it.
    """
    jobs = SyncJobRepository(session, audit.workspace_id)
    partner = await jobs.lock_partner_and_plan(partner_id)
    if only:
        only.require(await _token_view_if_any(session, partner))
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
