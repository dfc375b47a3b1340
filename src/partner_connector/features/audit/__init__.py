"""Audit events: a record of each decision, written in the transaction of the decision."""
