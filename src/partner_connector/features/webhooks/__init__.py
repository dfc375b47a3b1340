"""Webhooks: endpoints, events, deliveries. `worker/delivery` sends the messages."""
