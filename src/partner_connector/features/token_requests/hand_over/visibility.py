"""View of a token request for the holder of its code.

Of the requesting business it shows only the name.
"""

from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import TokenRequest
from partner_connector.features.integrations.repository import IntegrationRepository
from partner_connector.features.partners import onboarding
from partner_connector.features.partners.repository import PartnerRepository
from partner_connector.features.token_requests.hand_over.guide import guide
from partner_connector.features.token_requests.hand_over.schemas import (
    AskedPartner,
    CurrentTokenRequest,
)
from partner_connector.features.token_requests.service import state_of
from partner_connector.features.tokens.repository import TokenRepository
from partner_connector.features.tokens.schemas import TokenValidationView
from partner_connector.features.tokens.sealing_keys.router import key_view
from partner_connector.web.context import ApiContext


async def current_token_request(
    session: AsyncSession, context: ApiContext, token_request: TokenRequest
) -> CurrentTokenRequest:
    """Return the view. Writes nothing."""
    workspace_id = token_request.workspace_id
    partners = PartnerRepository(session, workspace_id)
    partner, state = await partners.get_with_onboarding_state(token_request.partner_id)
    validation = await partners.checklist_validation(partner.id)
    integration = await IntegrationRepository(session, workspace_id).get(partner.integration_id)
    app_id = context.settings.meta_app_id
    return CurrentTokenRequest(
        state=state_of(token_request),
        requested_by=integration.name,
        partner=AskedPartner.model_validate(partner),
        expires_at=token_request.expires_at,
        tries_left=token_request.max_tries - token_request.tries,
        guide=guide(app_id),
        checklist=onboarding.steps(partner, state, validation, app_id=app_id),
        must_be_sealed=context.settings.require_sealed_tokens,
        sealing_key=key_view(context.keyring.current),
        last_validation=await _last_validation(session, token_request),
    )


async def _last_validation(
    session: AsyncSession, token_request: TokenRequest
) -> TokenValidationView | None:
    if token_request.validation_id is None:
        return None
    tokens = TokenRepository(session, token_request.workspace_id)
    validation = await tokens.get_validation(token_request.validation_id)
    return without_other_owners(TokenValidationView.model_validate(validation))


def without_other_owners(validation: TokenValidationView) -> TokenValidationView:
    """Return the validation without the name of another business that uses the same token."""
    for check in validation.checks:
        if check.code == "token_active_elsewhere":
            check.detail = "It is already active for another business."
    return validation
