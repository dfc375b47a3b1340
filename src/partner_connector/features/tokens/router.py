"""Partner tokens: dry-run validation, connect, read, accept a narrowing, disconnect."""

from fastapi import APIRouter, Response

from partner_connector.db.models import Capability, Partner, Token, TokenValidation
from partner_connector.features.audit.dependency import RecorderDep
from partner_connector.features.audit.service import Recorder
from partner_connector.features.partners.repository import PartnerRepository
from partner_connector.features.sync_jobs.repository import SyncJobRepository
from partner_connector.features.tokens import intake, service
from partner_connector.features.tokens.answers import (
    COMPLETED_WHILE_WAITING,
    accepted_validation,
    completed_validation,
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
    with_etag,
)
from partner_connector.web.context import ApiContext
from partner_connector.web.dependencies import (
    OPTIONAL_BODY,
    ContextDep,
    IdempotentRequestDep,
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
    summary="Validate a token without connecting",
    status_code=202,
    responses=COMPLETED_WHILE_WAITING,
)
async def validate_partner_token(
    partner_id: PartnerId,
    body: TokenConnect,
    _caller: TokensWriter,
    audit: RecorderDep,
    idempotent: IdempotentRequestDep,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
) -> TokenValidationView:
    """Run all checks that connecting would run, without connecting the partner. Use it to find out
    what is wrong with a token before you connect. Read the result at `Location`, or send
    `Prefer: wait` to get it in this response. The token is wiped after the validation.
    """
    async with idempotent.writing() as session:
        partner = await PartnerRepository(session, audit.workspace_id).lock(partner_id)
        submitted = await _submit(session, context, audit, partner, body, "dry_run")
        idempotent.store_response(accepted_validation(response, submitted), held_for=wait)
    return await idempotent.replace_response(
        await completed_validation(context, response, submitted, wait)
    )


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
    idempotent: IdempotentRequestDep,
    preconditions: IfMatchOrNoneDep,
    context: ContextDep,
    response: Response,
    wait: WaitSeconds,
) -> TokenValidationView:
    """Validate a token and, if it passes, connect the partner with it. The token is active once the
    validation is `completed` with a connectable verdict; a token that it replaces stays active
    until then. The first check for updates starts automatically. Send `If-None-Match: *` to connect
    only a partner that is not connected.
    """
    async with idempotent.writing() as session:
        partner = await PartnerRepository(session, audit.workspace_id).lock(partner_id)
        if preconditions:
            preconditions.require(await _token_view_if_any(session, partner))
        submitted = await _submit(
            session,
            context,
            audit,
            partner,
            body,
            "connect",
            forbid_overwriting=preconditions.forbid_overwriting,
        )
        idempotent.store_response(accepted_validation(response, submitted), held_for=wait)
    return await idempotent.replace_response(
        await completed_validation(context, response, submitted, wait)
    )


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
    """Return the verdict and the result of each check, with what to do about it. The validation of
    a token that is not in use is deleted after 30 days, unless the operator set another time. The
    last completed validation of each partner is kept.
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
    """Return facts about the partner's active token: its permissions, expiry, health and lost
    access. Use it to see what to accept or repair. No operation returns a token or a part of one.
    Fails with `token_not_connected` if the partner has no active token.
    """
    partner = await PartnerRepository(session, caller.workspace_id).get(partner_id)
    tokens = TokenRepository(session, caller.workspace_id)
    token = await service.require_active(tokens, partner)
    return known.answer(token_view(token, await tokens.capability(partner.id)))


def token_view(token: Token, capability: Capability | None) -> PartnerTokenView:
    """Return the API view of a token row and its capability, without the ciphertext."""
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
    dependencies=[OPTIONAL_BODY],
    summary="Accept that a token sees less on purpose",
)
async def accept_token_capabilities(
    partner_id: PartnerId,
    caller: SyncsApprover,
    idempotent: IdempotentRequestDep,
    audit: RecorderDep,
    response: Response,
    body: CapabilityAcceptance | None = None,
) -> PartnerTokenView:
    """Confirm that the token's access was reduced on purpose. Later checks for updates treat what
    the token can see as complete and remove other users. Send the `narrowed` that you have read, so
    that nothing else is accepted. Fails if the access has changed since, or if nothing is narrowed.
    """
    expected = body.narrowed if body else None
    async with idempotent.writing() as session:
        # The owner's row is locked first, as in every change of a token.
        partners = PartnerRepository(session, caller.workspace_id)
        partner = await partners.lock(partner_id)
        tokens = TokenRepository(session, caller.workspace_id)
        token = await service.require_active(tokens, partner)
        capability = await accept(tokens, audit, partner, token, expected)
        return idempotent.store_response(with_etag(response, token_view(token, capability)))


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
    preconditions: IfMatchDep,
    context: ContextDep,
) -> PartnerDisconnected:
    """Wipe the partner's token at once, and any token that is still being validated. Use it to stop
    reading the partner's data. The history stays. Nothing changes in Meta: `residual_access` in the
    response lists what still works there and how to revoke it. Fails with `token_not_connected` if
    there is no token to wipe.
    """
    jobs = SyncJobRepository(session, audit.workspace_id)
    partner = await jobs.lock_partner_and_plan(partner_id)
    if preconditions:
        preconditions.require(await _token_view_if_any(session, partner))
    await service.disconnect(session, audit, partner)
    return PartnerDisconnected(
        onboarding_status="pending_onboarding",
        onboarding_status_label=context.settings.onboarding_label("pending_onboarding"),
        residual_access=residual_access(partner.name),
    )


def residual_access(partner_name: str) -> list[ResidualAccess]:
    """Return the access that is left in Meta after disconnecting."""
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
