"""Audit anchors: the chain heads of audit events, written to the log.

An attacker who can change the database cannot change the log.
"""

from datetime import UTC, datetime, timedelta

import structlog

from partner_connector.clock import now
from partner_connector.features.audit.chain import changed_chain_ends
from partner_connector.worker.context import WorkerContext

_INTERVAL = timedelta(hours=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger()


class Anchors:
    """Writer of audit anchors. After its start it logs the heads of all chains."""

    def __init__(self) -> None:
        self._logged_at = _EPOCH

    async def log_heads(self, context: WorkerContext) -> None:
        """Log, once an hour, the heads of the chains that have grown since the last time."""
        at = now()
        if at - self._logged_at < _INTERVAL:
            return
        async with context.database.reading() as session:
            async for workspace_id, head in changed_chain_ends(session, self._logged_at):
                log.info("audit_anchor", workspace_id=str(workspace_id), anchor=str(head))
        self._logged_at = at
