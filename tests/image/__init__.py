"""Test of the container image: its contents, and a customer's way through it."""
