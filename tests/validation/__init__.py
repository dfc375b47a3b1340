"""Tests of token validation."""
