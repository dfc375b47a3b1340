"""`/v1/webhook-endpoints`."""

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
from partner_connector.web.conditional import IfMatchDep, KnownTagsDep, tell
from partner_connector.web.dependencies import (
    ContextDep,
    OnceDep,
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
    """Newest first. Secrets are never shown again."""
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
    once: OnceDep,
    context: ContextDep,
    response: Response,
) -> WebhookEndpointCreated:
    """Messages tell what happens from now on. The answer shows the signing secret once."""
    require_sendable(body.url, allow_loopback=context.settings.webhook_allow_loopback)
    async with once.writing() as session:
        endpoint, secret = await service.create(
            session,
            audit,
            context.keyring,
            url=body.url,
            event_types=[str(each) for each in body.event_types],
            description=body.description,
        )
        response.headers["Location"] = f"/v1/webhook-endpoints/{encode('whk', endpoint.id)}"
        return once.remember(WebhookEndpointCreated.of(endpoint, signing_secret=secret))


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
    """Where messages go, about what, and whether they are sent."""
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
    only: IfMatchDep,
    response: Response,
) -> WebhookEndpointView:
    """URL, types, description; or disable it, and enable it again, also after your server answered
    410.
    """
    if body.url is not None:
        require_sendable(body.url, allow_loopback=context.settings.webhook_allow_loopback)
    webhooks = WebhookRepository(session, audit.workspace_id)
    endpoint = await webhooks.lock(webhook_endpoint_id)
    only.require(_view(endpoint))
    changes = body.model_dump(exclude_none=True)
    await service.change(session, audit, endpoint, changes)
    return tell(response, _view(endpoint))


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
    only: IfMatchDep,
) -> Response:
    """With its secrets and its deliveries: nothing is sent any more."""
    webhooks = WebhookRepository(session, audit.workspace_id)
    endpoint = await webhooks.lock(webhook_endpoint_id)
    only.require(_view(endpoint))
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
    once: OnceDep,
    context: ContextDep,
) -> WebhookEndpointCreated:
    """The answer shows the new secret once. For 24 hours messages bear two signatures, by the new
    and by the one before; rotating again within them ends the older one.
    """
    async with once.writing() as session:
        webhooks = WebhookRepository(session, audit.workspace_id)
        endpoint = await webhooks.lock(webhook_endpoint_id)
        secret = await service.rotate_secret(session, audit, context.keyring, endpoint)
        return once.remember(WebhookEndpointCreated.of(endpoint, signing_secret=secret))


def _view(row: WebhookEndpoint) -> WebhookEndpointView:
    return WebhookEndpointView.model_validate(row)
