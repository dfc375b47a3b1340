"""Maintenance: recovery of lost runs, expiry, retention, key rotation and audit anchors."""
