"""Delivery of webhook events from the outbox to endpoints, in order."""
