"""`/v1/api-keys`: API keys of a workspace."""

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
    IdempotentRequestDep,
    KeysAdmin,
    PageDep,
    ReadSession,
    WriteSession,
)

router = APIRouter(prefix="/v1/api-keys", tags=["API keys"])


@router.get("", operation_id="listApiKeys", summary="List API keys", response_model=ApiKeyPage)
async def list_api_keys(caller: KeysAdmin, session: ReadSession, page: PageDep) -> Response:
    """Return the API keys of the workspace, newest first, including revoked and expired keys. The
    response never contains the secret of a key.
    """
    rows, cursor = await ApiKeyRepository(session, caller.workspace_id).page(page)
    return page.answer([ApiKeyView.model_validate(row) for row in rows], cursor)


@router.post("", operation_id="createApiKey", summary="Create an API key", status_code=201)
async def create_api_key(
    body: ApiKeyCreate,
    caller: KeysAdmin,
    audit: RecorderDep,
    idempotent: IdempotentRequestDep,
    context: ContextDep,
    response: Response,
) -> ApiKeyCreated:
    """Create an API key. Store it right away: only this response contains it. The calling key can
    grant only scopes that it has itself, and a key that expires can only create keys that expire
    no later.
    """
    # Before the stored response of an `Idempotency-Key` is returned, so that a caller who may not
    # create this key does not see it.
    service.require_held(caller, body.scopes, body.expires_at)
    async with idempotent.writing() as session:
        key, secret = await service.create(
            session,
            audit,
            name=body.name,
            scopes=body.scopes,
            expires_at=body.expires_at,
            pepper=context.api_key_pepper,
        )
        response.headers["Location"] = f"/v1/api-keys/{encode('key', key.id)}"
        return idempotent.store_response(ApiKeyCreated.of(key, api_key=secret))


@router.delete(
    "/{api_key_id}", operation_id="revokeApiKey", summary="Revoke an API key", status_code=204
)
async def revoke_api_key(
    api_key_id: ApiKeyId,
    _caller: KeysAdmin,
    audit: RecorderDep,
    session: WriteSession,
    preconditions: IfMatchDep,
) -> Response:
    """Revoke an API key. The key is refused from its next request on, and stays in the list as
    revoked. This cannot be undone; revoking a revoked key has no further effect.
    """
    key = await ApiKeyRepository(session, audit.workspace_id).lock(api_key_id)
    preconditions.require(ApiKeyView.model_validate(key))
    await service.revoke(session, audit, key)
    return Response(status_code=204)
