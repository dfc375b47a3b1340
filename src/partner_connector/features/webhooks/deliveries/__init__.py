"""Deliveries of webhook events."""
