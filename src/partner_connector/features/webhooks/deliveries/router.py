"""Messages to one endpoint: how they went, sending them again, and sending a test."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from partner_connector.clock import now
from partner_connector.db.models import WebhookDelivery, WebhookEvent
from partner_connector.features.audit.dependency import RecorderDep
from partner_connector.features.webhooks import service
from partner_connector.features.webhooks.repository import WebhookRepository
from partner_connector.features.webhooks.schemas import (
    Redelivery,
    RedeliveryRequest,
    WebhookDeliveryPage,
    WebhookDeliveryView,
)
from partner_connector.ids import WebhookDeliveryId, WebhookEndpointId, encode
from partner_connector.web.conditional import KnownTagsDep
from partner_connector.web.dependencies import (
    OnceDep,
    PageDep,
    ReadSession,
    WebhooksReader,
    WebhooksWriter,
)

router = APIRouter(prefix="/v1", tags=["Webhooks"])

DeliveryStatus = Annotated[
    str | None,
    Query(
        max_length=16,
        pattern=r"^(pending|delivered|dead_lettered)$",
        description="Only those in this state.",
        examples=["dead_lettered"],
    ),
]


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


@router.get(
    "/webhook-endpoints/{webhook_endpoint_id}/deliveries",
    operation_id="listWebhookDeliveries",
    summary="List deliveries to an endpoint",
    response_model=WebhookDeliveryPage,
)
async def list_webhook_deliveries(
    webhook_endpoint_id: WebhookEndpointId,
    caller: WebhooksReader,
    session: ReadSession,
    page: PageDep,
    status: DeliveryStatus = None,
) -> Response:
    """Newest first. They are kept for 30 days."""
    webhooks = WebhookRepository(session, caller.workspace_id)
    await webhooks.get(webhook_endpoint_id)
    rows, cursor = await webhooks.deliveries(page, webhook_endpoint_id, status)
    items = [_delivery_view(delivery, event) for delivery, event in rows]
    return page.answer(items, cursor)


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
    """In their order, each with the id that it had. Best after your server was away for long.

    Of very many the oldest 10,000 or so: `more_since_at` says how to go on. What is still to be
    sent is never queued twice.
    """
    statuses = ["dead_lettered", "delivered"] if body.include_delivered else ["dead_lettered"]
    async with once.writing() as session:
        webhooks = WebhookRepository(session, audit.workspace_id)
        await webhooks.get(webhook_endpoint_id)
        queued, more_since_at = await service.redeliver_range(
            session,
            audit,
            webhook_endpoint_id,
            after=body.since_at,
            before=body.until_at or now(),
            statuses=statuses,
        )
        return once.remember(Redelivery(redelivered=queued, more_since_at=more_since_at))


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


def _delivery_view(row: WebhookDelivery, event: WebhookEvent) -> WebhookDeliveryView:
    return WebhookDeliveryView.of(
        row,
        event_id=event.message_id,
        event_type=event.type,
        partner_id=event.partner_id,
        next_attempt_at=row.next_attempt_at if row.status == "pending" else None,
    )
