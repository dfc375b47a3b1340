"""`/v1/api-keys`."""

from fastapi import APIRouter, Response

from partner_connector.features.api_keys import service
from partner_connector.features.api_keys.repository import ApiKeyRepository
from partner_connector.features.api_keys.schemas import (
    ApiKeyCreate,
    ApiKeyCreated,
    ApiKeyPage,
    ApiKeyView,
)
from partner_connector.features.audit.dependency import RecorderDep
from partner_connector.ids import ApiKeyId, encode
from partner_connector.web.conditional import IfMatchDep
from partner_connector.web.dependencies import (
    ContextDep,
    KeysAdmin,
    OnceDep,
    PageDep,
    ReadSession,
    WriteSession,
)

router = APIRouter(prefix="/v1/api-keys", tags=["API keys"])


@router.get("", operation_id="listApiKeys", summary="List API keys", response_model=ApiKeyPage)
async def list_api_keys(caller: KeysAdmin, session: ReadSession, page: PageDep) -> Response:
    """Newest first, revoked and expired ones included. Secrets are never shown."""
    rows, cursor = await ApiKeyRepository(session, caller.workspace_id).page(page)
    return page.answer([ApiKeyView.model_validate(row) for row in rows], cursor)


@router.post("", operation_id="createApiKey", summary="Create an API key", status_code=201)
async def create_api_key(
    body: ApiKeyCreate,
    caller: KeysAdmin,
    audit: RecorderDep,
    once: OnceDep,
    context: ContextDep,
    response: Response,
) -> ApiKeyCreated:
    """The answer shows the key once. A key can grant only scopes that it holds itself."""
    # Before anything else, so that no key is shown again to one that may not have it.
    service.require_held(caller, body.scopes, body.expires_at)
    async with once.writing() as session:
        key, secret = await service.create(
            session,
            audit,
            name=body.name,
            scopes=body.scopes,
            expires_at=body.expires_at,
            pepper=context.api_key_pepper,
        )
        response.headers["Location"] = f"/v1/api-keys/{encode('key', key.id)}"
        return once.remember(ApiKeyCreated.of(key, api_key=secret))


@router.delete(
    "/{api_key_id}", operation_id="revokeApiKey", summary="Revoke an API key", status_code=204
)
async def revoke_api_key(
    api_key_id: ApiKeyId,
    _caller: KeysAdmin,
    audit: RecorderDep,
    session: WriteSession,
    only: IfMatchDep,
) -> Response:
    """Takes effect with the next request."""
    key = await ApiKeyRepository(session, audit.workspace_id).lock(api_key_id)
    only.require(ApiKeyView.model_validate(key))
    await service.revoke(session, audit, key)
    return Response(status_code=204)
