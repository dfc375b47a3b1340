"""Delivery of due webhook messages, from several delivery queues at once."""

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
from partner_connector.features.webhooks.messages import message_body, message_id
from partner_connector.features.webhooks.signing_secrets import valid_signing_secrets
from partner_connector.sealing.private import UnreadableToken
from partner_connector.sealing.public import SealedToken
from partner_connector.telemetry import metrics, tracing
from partner_connector.worker.context import WorkerContext
from partner_connector.worker.delivery import delivery_queues
from partner_connector.worker.delivery.delivery_queues import (
    QUEUES_PER_ENDPOINT,
    QUEUES_PER_WORKSPACE,
    LeasedDelivery,
)
from partner_connector.worker.delivery.outbox import fan_out
from partner_connector.worker.delivery.sender import Outcome, Sender

POLL_SECONDS = 0.5
_CONCURRENT_QUEUES = 32

log = structlog.get_logger()


class Deliverer:
    """Sender of due messages. Workers share the work; one worker at a time has each message."""

    def __init__(self, context: WorkerContext, sender: Sender) -> None:
        self.context = context
        self.sender = sender
        self._tasks: dict[asyncio.Task[None], LeasedDelivery] = {}

    async def stop(self) -> None:
        """Cancel running attempts and release their deliveries."""
        for task in self._tasks:
            task.cancel()
        await self.wait_until_idle()

    async def poll(self, at: datetime) -> bool:
        """Fan out new events and start the delivery queues that are due at `at`.

        Return whether more events wait to be fanned out.
        """
        more = await fan_out(self.context.database, at)
        free = _CONCURRENT_QUEUES - len(self._tasks)
        if free <= 0:
            return more
        for due in await delivery_queues.due_queues(self.context.database, at, self._busy(), free):
            if self._busy() & {due.endpoint_id, due.workspace_id}:
                continue
            leased = await delivery_queues.take(self.context.database, due.delivery_id)
            if leased is not None:
                task = asyncio.create_task(self._process_queue(leased, at))
                self._tasks[task] = leased
                task.add_done_callback(self._tasks.pop)
        return more

    async def wait_until_idle(self) -> None:
        """Wait until all started queues are done."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _busy(self) -> set[uuid.UUID]:
        """Return the endpoints and workspaces that have reached their limit of running queues."""
        endpoints = Counter(leased.endpoint_id for leased in self._tasks.values())
        workspaces = Counter(leased.workspace_id for leased in self._tasks.values())
        return {each for each, number in endpoints.items() if number >= QUEUES_PER_ENDPOINT} | {
            each for each, number in workspaces.items() if number >= QUEUES_PER_WORKSPACE
        }

    async def _process_queue(self, leased: LeasedDelivery, at: datetime) -> None:
        # Processing a queue may take hours: keep the offset of `at` from the clock.
        offset = at - now()
        following: LeasedDelivery | None = leased
        while following is not None:
            leased = following
            with structlog.contextvars.bound_contextvars(**leased.named()):
                try:
                    outcome = await self._attempt(leased)
                    at = now() + offset
                    following = await delivery_queues.record_outcome(
                        self.context.database, leased, outcome, at
                    )
                except asyncio.CancelledError:
                    await delivery_queues.release_lease(self.context.database, leased)
                    raise
                except Exception as error:
                    # The lease expires, and the delivery is tried again.
                    log.warning("webhook_not_sent", error=type(error).__name__)
                    return

    async def _attempt(self, leased: LeasedDelivery) -> Outcome:
        """Send the message, and record the outcome in traces and metrics."""
        began = time.perf_counter()
        with tracing.span("webhook", tracing.CLIENT, **leased.named()) as span:
            outcome = await self._send(leased, span)
            span.set_attribute("outcome", outcome.error or "delivered")
        metrics.observe_webhook_attempt(outcome.error or "delivered", began)
        return outcome

    async def _send(self, leased: LeasedDelivery, span: Span) -> Outcome:
        """Sign and send the message. Signing secrets exist as plaintext only in this function."""
        async with self.context.database.reading() as session:
            url, event, secrets = await _load_message(session, leased)
        # Only the host: customers may put secrets into the path of the URL.
        span.set_attribute("server.address", host_of(url))
        span.set_attribute("event_type", event.type)
        name, at = message_id(event), now()
        try:
            body = message_body(event)
            signatures = [
                Webhook(self.context.keyring.open_box(each)).sign(name, at, body)
                for each in secrets
            ]
        except UnreadableToken:
            return Outcome(error="secret_unreadable")
        except (KeyError, ValueError) as error:
            # Written by a newer version before a rollback: it must not block its queue forever.
            log.error(  # noqa: TRY400 - the traceback would contain data of the event
                "webhook_not_built", event_type=event.type, error=type(error).__name__
            )
            return Outcome(error="not_composed")
        headers = {
            "webhook-id": name,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
        return await self.sender.send(url, body, headers)


async def _load_message(
    session: AsyncSession, leased: LeasedDelivery
) -> tuple[str, WebhookEvent, list[SealedToken]]:
    delivery = await session.get_one(WebhookDelivery, leased.delivery_id)
    event = await session.get_one(WebhookEvent, delivery.event_id)
    endpoint = await session.get_one(WebhookEndpoint, leased.endpoint_id)
    secrets = await valid_signing_secrets(session, leased.endpoint_id)
    return endpoint.url, event, [SealedToken(each.key_id, each.sealed) for each in secrets]
