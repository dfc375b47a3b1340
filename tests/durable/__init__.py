"""Tests of durable execution."""
