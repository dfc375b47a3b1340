"""`/v1/webhook-endpoints` and `/v1/webhook-deliveries`."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from partner_connector.audit.dependency import RecorderDep
from partner_connector.clock import now
from partner_connector.conditional import IfMatchDep, KnownTagsDep, tell
from partner_connector.dependencies import (
    ContextDep,
    OnceDep,
    PageDep,
    ReadSession,
    WebhooksReader,
    WebhooksWriter,
    WriteSession,
)
from partner_connector.ids import WebhookDeliveryId, WebhookEndpointId, encode
from partner_connector.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from partner_connector.webhooks import service
from partner_connector.webhooks.addresses import require_sendable
from partner_connector.webhooks.repository import WebhookRepository
from partner_connector.webhooks.schemas import (
    Redelivery,
    RedeliveryRequest,
    WebhookDeliveryPage,
    WebhookDeliveryView,
    WebhookEndpointCreate,
    WebhookEndpointCreated,
    WebhookEndpointPage,
    WebhookEndpointUpdate,
    WebhookEndpointView,
)

router = APIRouter(prefix="/v1", tags=["Webhooks"])

DeliveryStatus = Annotated[
    str | None,
    Query(
        pattern=r"^(pending|delivered|dead_lettered)$",
        description="Only those in this state.",
        examples=["dead_lettered"],
    ),
]


@router.get(
    "/webhook-endpoints", operation_id="listWebhookEndpoints", summary="List webhook endpoints"
)
async def list_webhook_endpoints(
    caller: WebhooksReader, session: ReadSession, page: PageDep
) -> WebhookEndpointPage:
    """Newest first. Secrets are never shown again."""
    rows, cursor = await WebhookRepository(session, caller.workspace_id).page(page)
    return WebhookEndpointPage(items=[_view(row) for row in rows], next_cursor=cursor)


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
        return once.remember(_with_secret(endpoint, secret))


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
    endpoint = await webhooks.get(webhook_endpoint_id, lock=True)
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
    endpoint = await webhooks.get(webhook_endpoint_id, lock=True)
    only.require(_view(endpoint))
    await service.remove(session, audit, endpoint)
    return Response(status_code=204)


@router.post(
    "/webhook-endpoints/{webhook_endpoint_id}/test",
    operation_id="testWebhookEndpoint",
    summary="Send a test message",
    status_code=202,
)
async def test_webhook_endpoint(
    webhook_endpoint_id: WebhookEndpointId,
    caller: WebhooksWriter,
    once: OnceDep,
    response: Response,
) -> WebhookDeliveryView:
    """An event of the type `webhook_endpoint.test`, signed and tried like every other."""
    async with once.writing() as session:
        endpoint = await WebhookRepository(session, caller.workspace_id).get(webhook_endpoint_id)
        delivery, event = await service.send_test(session, endpoint)
        return once.remember(_accepted(response, delivery, event))


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
        endpoint = await webhooks.get(webhook_endpoint_id, lock=True)
        secret = await service.rotate_secret(session, audit, context.keyring, endpoint)
        return once.remember(_with_secret(endpoint, secret))


@router.get(
    "/webhook-endpoints/{webhook_endpoint_id}/deliveries",
    operation_id="listWebhookDeliveries",
    summary="List deliveries to an endpoint",
)
async def list_webhook_deliveries(
    webhook_endpoint_id: WebhookEndpointId,
    caller: WebhooksReader,
    session: ReadSession,
    page: PageDep,
    status: DeliveryStatus = None,
) -> WebhookDeliveryPage:
    """Newest first. They are kept for 30 days."""
    webhooks = WebhookRepository(session, caller.workspace_id)
    await webhooks.get(webhook_endpoint_id)
    rows, cursor = await webhooks.deliveries(page, webhook_endpoint_id, status)
    items = [_delivery_view(delivery, event) for delivery, event in rows]
    return WebhookDeliveryPage(items=items, next_cursor=cursor)


@router.post(
    "/webhook-endpoints/{webhook_endpoint_id}/redeliver",
    operation_id="redeliverWebhooks",
    summary="Send the messages of a time again",
)
async def redeliver_webhooks(
    webhook_endpoint_id: WebhookEndpointId,
    body: RedeliveryRequest,
    _caller: WebhooksWriter,
    audit: RecorderDep,
    once: OnceDep,
) -> Redelivery:
    """In their order, each with the id that it had. Best after your server was away for long."""
    statuses = ["dead_lettered", "delivered"] if body.include_delivered else ["dead_lettered"]
    async with once.writing() as session:
        webhooks = WebhookRepository(session, audit.workspace_id)
        await webhooks.get(webhook_endpoint_id)
        queued = await service.redeliver_range(
            session,
            audit,
            webhook_endpoint_id,
            after=body.after,
            before=body.before or now(),
            statuses=statuses,
        )
        return once.remember(Redelivery(redelivered=queued))


@router.get(
    "/webhook-deliveries/{webhook_delivery_id}",
    operation_id="getWebhookDelivery",
    summary="Get a delivery",
)
async def get_webhook_delivery(
    webhook_delivery_id: WebhookDeliveryId,
    caller: WebhooksReader,
    session: ReadSession,
    known: KnownTagsDep,
) -> WebhookDeliveryView:
    """How far it is, and what went wrong."""
    webhooks = WebhookRepository(session, caller.workspace_id)
    return known.answer(_delivery_view(*await webhooks.delivery(webhook_delivery_id)))


@router.post(
    "/webhook-deliveries/{webhook_delivery_id}/redeliver",
    operation_id="redeliverWebhook",
    summary="Send a message again",
    status_code=202,
)
async def redeliver_webhook(
    webhook_delivery_id: WebhookDeliveryId,
    _caller: WebhooksWriter,
    audit: RecorderDep,
    once: OnceDep,
    response: Response,
) -> WebhookDeliveryView:
    """Now, with the same id, whatever became of it before; one that waits for its next attempt is
    tried at once.
    """
    async with once.writing() as session:
        webhooks = WebhookRepository(session, audit.workspace_id)
        delivery, event = await webhooks.delivery(webhook_delivery_id)
        await service.redeliver(session, audit, delivery)
        return once.remember(_accepted(response, delivery, event))


def _accepted(
    response: Response, delivery: WebhookDelivery, event: WebhookEvent
) -> WebhookDeliveryView:
    response.headers["Location"] = f"/v1/webhook-deliveries/{encode('dlv', delivery.id)}"
    response.headers["Retry-After"] = "1"
    return _delivery_view(delivery, event)


def _view(row: WebhookEndpoint) -> WebhookEndpointView:
    return WebhookEndpointView.model_validate(row)


def _with_secret(row: WebhookEndpoint, secret: str) -> WebhookEndpointCreated:
    return WebhookEndpointCreated(**_view(row).model_dump(), signing_secret=secret)


def _delivery_view(row: WebhookDelivery, event: WebhookEvent) -> WebhookDeliveryView:
    told: dict[str, Any] = {
        "event_id": event.message_id,
        "event_type": event.type,
        "partner_id": event.partner_id,
        "next_attempt_at": row.next_attempt_at if row.status == "pending" else None,
    }
    names = set(WebhookDeliveryView.model_fields) - set(told)
    return WebhookDeliveryView(**told, **{name: getattr(row, name) for name in names})
