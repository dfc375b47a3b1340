"""Sends what is due: looks, takes some lanes at once, and works each one off."""

import asyncio
import time
import uuid
from collections import Counter
from datetime import datetime

import structlog
from opentelemetry.trace import Span
from sqlalchemy.ext.asyncio import AsyncSession
from standardwebhooks import Webhook

from partner_connector.clock import now
from partner_connector.db.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from partner_connector.features.webhooks.addresses import host_of
from partner_connector.features.webhooks.messages import body_of, message_id
from partner_connector.features.webhooks.signing_secrets import signing_now
from partner_connector.sealing.private import UnreadableToken
from partner_connector.sealing.public import SealedToken
from partner_connector.telemetry import metrics, tracing
from partner_connector.worker.context import Workshop
from partner_connector.worker.delivery import lanes
from partner_connector.worker.delivery.lanes import (
    LANES_OF_A_WORKSPACE,
    LANES_OF_AN_ENDPOINT,
    Taken,
)
from partner_connector.worker.delivery.outbox import spread
from partner_connector.worker.delivery.sender import Outcome, Sender

LOOK_SECONDS = 0.5
_LANES_AT_ONCE = 32

log = structlog.get_logger()


class Deliverer:
    """Any number of workers share the work; each message is one worker's at a time."""

    def __init__(self, shop: Workshop, sender: Sender) -> None:
        self.shop = shop
        self.sender = sender
        self._lanes: dict[asyncio.Task[None], Taken] = {}

    async def stop(self) -> None:
        """Give back what is on its way."""
        for lane in self._lanes:
            lane.cancel()
        await self.rest()

    async def look(self, at: datetime) -> bool:
        """Place new events, and start on the lanes that are due at this instant. Answers whether
        there are more events to place.
        """
        more = await spread(self.shop.database, at)
        free = _LANES_AT_ONCE - len(self._lanes)
        if free <= 0:
            return more
        for due in await lanes.due_lanes(self.shop.database, at, self._busy(), free):
            if self._busy() & {due.endpoint_id, due.workspace_id}:
                continue
            taken = await lanes.take(self.shop.database, due.delivery_id)
            if taken is not None:
                lane = asyncio.create_task(self._work_off(taken, at))
                self._lanes[lane] = taken
                lane.add_done_callback(self._lanes.pop)
        return more

    async def rest(self) -> None:
        """Until what was started is done."""
        await asyncio.gather(*self._lanes, return_exceptions=True)

    def _busy(self) -> set[uuid.UUID]:
        """Endpoints and workspaces to which as much is on its way as may be."""
        endpoints = Counter(taken.endpoint_id for taken in self._lanes.values())
        workspaces = Counter(taken.workspace_id for taken in self._lanes.values())
        return {each for each, number in endpoints.items() if number >= LANES_OF_AN_ENDPOINT} | {
            each for each, number in workspaces.items() if number >= LANES_OF_A_WORKSPACE
        }

    async def _work_off(self, taken: Taken, at: datetime) -> None:
        # A lane may be worked off for hours.
        ahead = at - now()
        following: Taken | None = taken
        while following is not None:
            taken = following
            with structlog.contextvars.bound_contextvars(**taken.named()):
                try:
                    outcome = await self._attempt(taken)
                    at = now() + ahead
                    following = await lanes.settle(self.shop.database, taken, outcome, at)
                except asyncio.CancelledError:
                    await lanes.give_back(self.shop.database, taken)
                    raise
                except Exception as error:
                    # Its lease runs out, and it is tried again.
                    log.warning("webhook_not_sent", error=type(error).__name__)
                    return

    async def _attempt(self, taken: Taken) -> Outcome:
        """Send it, and tell those who watch how that went."""
        began = time.perf_counter()
        with tracing.span("webhook", tracing.CLIENT, **taken.named()) as span:
            outcome = await self._send(taken, span)
            span.set_attribute("outcome", outcome.error or "delivered")
        metrics.observe_webhook_attempt(outcome.error or "delivered", began)
        return outcome

    async def _send(self, taken: Taken, span: Span) -> Outcome:
        """The one function in which the signing secrets are in clear."""
        async with self.shop.database.reading() as session:
            url, event, secrets = await _what_to_send(session, taken)
        # Not the whole URL: customers put secrets of their own into its path.
        span.set_attribute("server.address", host_of(url))
        span.set_attribute("event_type", event.type)
        name, at = message_id(event), now()
        try:
            body = body_of(event)
            signatures = [
                Webhook(self.shop.keyring.open_box(each)).sign(name, at, body) for each in secrets
            ]
        except UnreadableToken:
            return Outcome(error="secret_unreadable")
        except (KeyError, ValueError) as error:
            # A newer version's, before a rollback: it must not hold up its lane for ever.
            log.error(  # noqa: TRY400 - its traceback would carry what is in the event
                "webhook_not_composed", event_type=event.type, error=type(error).__name__
            )
            return Outcome(error="not_composed")
        headers = {
            "webhook-id": name,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
        return await self.sender.send(url, body, headers)


async def _what_to_send(
    session: AsyncSession, taken: Taken
) -> tuple[str, WebhookEvent, list[SealedToken]]:
    delivery = await session.get_one(WebhookDelivery, taken.delivery_id)
    event = await session.get_one(WebhookEvent, delivery.event_id)
    endpoint = await session.get_one(WebhookEndpoint, taken.endpoint_id)
    secrets = await signing_now(session, taken.endpoint_id)
    return endpoint.url, event, [SealedToken(each.key_id, each.sealed) for each in secrets]
