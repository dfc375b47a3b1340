"""Operations of `/v1/webhook-endpoints`."""

from fastapi import APIRouter, Response

from partner_connector.db.models import WebhookEndpoint
from partner_connector.features.audit.dependency import RecorderDep
from partner_connector.features.webhooks import service
from partner_connector.features.webhooks.addresses import require_sendable
from partner_connector.features.webhooks.repository import WebhookRepository
from partner_connector.features.webhooks.schemas import (
    WebhookEndpointCreate,
    WebhookEndpointCreated,
    WebhookEndpointPage,
    WebhookEndpointUpdate,
    WebhookEndpointView,
)
from partner_connector.ids import WebhookEndpointId, encode
from partner_connector.web.conditional import IfMatchDep, KnownTagsDep, with_etag
from partner_connector.web.dependencies import (
    ContextDep,
    IdempotentRequestDep,
    PageDep,
    ReadSession,
    WebhooksReader,
    WebhooksWriter,
    WriteSession,
)

router = APIRouter(prefix="/v1", tags=["Webhooks"])


@router.get(
    "/webhook-endpoints",
    operation_id="listWebhookEndpoints",
    summary="List webhook endpoints",
    response_model=WebhookEndpointPage,
)
async def list_webhook_endpoints(
    caller: WebhooksReader, session: ReadSession, page: PageDep
) -> Response:
    """Return the webhook endpoints of the workspace, newest first. Their signing secrets are not
    included.
    """
    rows, cursor = await WebhookRepository(session, caller.workspace_id).page(page)
    return page.answer([_view(row) for row in rows], cursor)


@router.post(
    "/webhook-endpoints",
    operation_id="createWebhookEndpoint",
    summary="Create a webhook endpoint",
    status_code=201,
)
async def create_webhook_endpoint(
    body: WebhookEndpointCreate,
    _caller: WebhooksWriter,
    audit: RecorderDep,
    idempotent: IdempotentRequestDep,
    context: ContextDep,
    response: Response,
) -> WebhookEndpointCreated:
    """Create an endpoint. Events of the chosen types that happen from now on are sent to it. Store
    the signing secret: only this response contains it. The URL must be a public `https://` URL,
    else the request fails with `webhook_url_refused`. It fails with `webhook_endpoint_limit` if the
    workspace already has 20 endpoints.
    """
    require_sendable(body.url, allow_loopback=context.settings.webhook_allow_loopback)
    async with idempotent.writing() as session:
        endpoint, secret = await service.create(
            session,
            audit,
            context.keyring,
            url=body.url,
            event_types=[str(event_type) for event_type in body.event_types],
            description=body.description,
        )
        response.headers["Location"] = f"/v1/webhook-endpoints/{encode('whk', endpoint.id)}"
        return idempotent.store_response(WebhookEndpointCreated.of(endpoint, signing_secret=secret))


@router.get(
    "/webhook-endpoints/{webhook_endpoint_id}",
    operation_id="getWebhookEndpoint",
    summary="Get a webhook endpoint",
)
async def get_webhook_endpoint(
    webhook_endpoint_id: WebhookEndpointId,
    caller: WebhooksReader,
    session: ReadSession,
    known: KnownTagsDep,
) -> WebhookEndpointView:
    """Return one endpoint: its URL, its event types, and whether it is enabled."""
    endpoint = await WebhookRepository(session, caller.workspace_id).get(webhook_endpoint_id)
    return known.answer(_view(endpoint))


@router.patch(
    "/webhook-endpoints/{webhook_endpoint_id}",
    operation_id="updateWebhookEndpoint",
    summary="Update a webhook endpoint",
)
async def update_webhook_endpoint(
    webhook_endpoint_id: WebhookEndpointId,
    body: WebhookEndpointUpdate,
    _caller: WebhooksWriter,
    audit: RecorderDep,
    session: WriteSession,
    context: ContextDep,
    preconditions: IfMatchDep,
    response: Response,
) -> WebhookEndpointView:
    """Change the URL, the event types, the description or the status of an endpoint. A member that
    you leave out keeps its value. Use `status` to disable an endpoint or to enable it again, for
    example after your server answered `410`. Fails with `webhook_url_refused` if the new URL is not
    a public `https://` URL.
    """
    if body.url is not None:
        require_sendable(body.url, allow_loopback=context.settings.webhook_allow_loopback)
    webhooks = WebhookRepository(session, audit.workspace_id)
    endpoint = await webhooks.lock(webhook_endpoint_id)
    preconditions.require(_view(endpoint))
    changes = body.model_dump(exclude_none=True)
    await service.change(session, audit, endpoint, changes)
    return with_etag(response, _view(endpoint))


@router.delete(
    "/webhook-endpoints/{webhook_endpoint_id}",
    operation_id="deleteWebhookEndpoint",
    summary="Delete a webhook endpoint",
    status_code=204,
)
async def delete_webhook_endpoint(
    webhook_endpoint_id: WebhookEndpointId,
    _caller: WebhooksWriter,
    audit: RecorderDep,
    session: WriteSession,
    preconditions: IfMatchDep,
) -> Response:
    """Delete an endpoint with its signing secrets and its deliveries. No further message is sent to
    it. To stop messages only for a time, disable the endpoint instead.
    """
    webhooks = WebhookRepository(session, audit.workspace_id)
    endpoint = await webhooks.lock(webhook_endpoint_id)
    preconditions.require(_view(endpoint))
    await service.remove(session, audit, endpoint)
    return Response(status_code=204)


@router.post(
    "/webhook-endpoints/{webhook_endpoint_id}/rotate-secret",
    operation_id="rotateWebhookSecret",
    summary="Rotate the signing secret",
)
async def rotate_webhook_secret(
    webhook_endpoint_id: WebhookEndpointId,
    _caller: WebhooksWriter,
    audit: RecorderDep,
    idempotent: IdempotentRequestDep,
    context: ContextDep,
) -> WebhookEndpointCreated:
    """Create a new signing secret for an endpoint. Store it: only this response contains it. For 24
    hours each message has two signatures, one made with the new secret and one made with the
    previous secret. If you rotate again within that time, the oldest secret stops signing at once.
    """
    async with idempotent.writing() as session:
        webhooks = WebhookRepository(session, audit.workspace_id)
        endpoint = await webhooks.lock(webhook_endpoint_id)
        secret = await service.rotate_secret(session, audit, context.keyring, endpoint)
        return idempotent.store_response(WebhookEndpointCreated.of(endpoint, signing_secret=secret))


def _view(row: WebhookEndpoint) -> WebhookEndpointView:
    return WebhookEndpointView.model_validate(row)
