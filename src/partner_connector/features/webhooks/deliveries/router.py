"""Operations of deliveries: list, read, redeliver, and send a test message."""

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
    IdempotentRequestDep,
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
        description="Return only deliveries with this status.",
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
    idempotent: IdempotentRequestDep,
    response: Response,
) -> WebhookDeliveryView:
    """Send an event of the type `webhook_endpoint.test` to the endpoint. The message is signed and
    retried like every other message. Use it to check that your server receives and verifies
    messages. Read the returned delivery to see the result.
    """
    async with idempotent.writing() as session:
        endpoint = await WebhookRepository(session, caller.workspace_id).get(webhook_endpoint_id)
        delivery, event = await service.send_test(session, endpoint)
        return idempotent.store_response(_accepted(response, delivery, event))


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
    """Return the deliveries to an endpoint, newest first. Use it to find failed deliveries:
    filter by the status `dead_lettered`. Deliveries are deleted after 30 days, unless the operator
    set another time.
    """
    webhooks = WebhookRepository(session, caller.workspace_id)
    await webhooks.get(webhook_endpoint_id)
    rows, cursor = await webhooks.deliveries(page, webhook_endpoint_id, status)
    items = [_delivery_view(delivery, event) for delivery, event in rows]
    return page.answer(items, cursor)


@router.post(
    "/webhook-endpoints/{webhook_endpoint_id}/redeliver",
    operation_id="redeliverWebhooks",
    summary="Redeliver a time range",
)
async def redeliver_webhooks(
    webhook_endpoint_id: WebhookEndpointId,
    body: RedeliveryRequest,
    _caller: WebhooksWriter,
    audit: RecorderDep,
    idempotent: IdempotentRequestDep,
) -> Redelivery:
    """Send the deliveries that were created in a time range again, in their order, each with its
    original id. Use it if your server was down for longer than the retries last. One request queues
    at most about 10,000 deliveries. If there are more, repeat the request with `more_since_at` as
    `since_at`. Pending deliveries are not queued twice.
    """
    statuses = ["dead_lettered", "delivered"] if body.include_delivered else ["dead_lettered"]
    async with idempotent.writing() as session:
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
        return idempotent.store_response(
            Redelivery(redelivered=queued, more_since_at=more_since_at)
        )


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
    """Return the status of one delivery, its number of attempts and its last error. Use it to find
    out why a message did not arrive.
    """
    webhooks = WebhookRepository(session, caller.workspace_id)
    return known.answer(_delivery_view(*await webhooks.delivery(webhook_delivery_id)))


@router.post(
    "/webhook-deliveries/{webhook_delivery_id}/redeliver",
    operation_id="redeliverWebhook",
    summary="Redeliver a message",
    status_code=202,
)
async def redeliver_webhook(
    webhook_delivery_id: WebhookDeliveryId,
    _caller: WebhooksWriter,
    audit: RecorderDep,
    idempotent: IdempotentRequestDep,
    response: Response,
) -> WebhookDeliveryView:
    """Send the message of one delivery again, with its original id and all retries. Use it after
    you have repaired your server. The delivery may have any status: if it waits for its next
    attempt, the attempt is made now.
    """
    async with idempotent.writing() as session:
        webhooks = WebhookRepository(session, audit.workspace_id)
        delivery, event = await webhooks.delivery(webhook_delivery_id)
        await service.redeliver(session, audit, delivery)
        return idempotent.store_response(_accepted(response, delivery, event))


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
