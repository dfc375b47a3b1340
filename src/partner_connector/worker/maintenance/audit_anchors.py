"""Where the chains of audit events end, told where somebody who can change the database cannot
change it: in the log.
"""

from datetime import UTC, datetime, timedelta

import structlog

from partner_connector.clock import now
from partner_connector.features.audit.chain import ends_that_moved
from partner_connector.worker.context import Workshop

_ANCHORED_EVERY = timedelta(hours=1)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger()


class Anchors:
    """Remembers when it last told. A worker that has just started tells of all chains."""

    def __init__(self) -> None:
        self._told_at = _BEGINNING

    async def tell(self, shop: Workshop) -> None:
        """Of the chains that have grown since, once an hour."""
        at = now()
        if at - self._told_at < _ANCHORED_EVERY:
            return
        async with shop.database.reading() as session:
            async for workspace_id, end in ends_that_moved(session, self._told_at):
                log.info("audit_anchor", workspace_id=str(workspace_id), anchor=str(end))
        self._told_at = at
