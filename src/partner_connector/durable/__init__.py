"""Durable execution: everything that touches DBOS."""
