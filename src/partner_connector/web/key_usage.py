"""The time of the last use of each API key, kept in memory and written every 30 seconds.

So a request does not wait for a write. A killed process loses the uses since the last write, so
`last_used_at` can be too old by that time.
"""

import uuid
from datetime import datetime

from sqlalchemy import update

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import ApiKey

WRITE_SECONDS = 30.0


class KeyUsage:
    """Last uses that this process saw. In the database, the latest use of all processes wins."""

    def __init__(self) -> None:
        self._seen: dict[uuid.UUID, datetime] = {}

    def record(self, api_key_id: uuid.UUID) -> None:
        """Record that the key was used now."""
        self._seen[api_key_id] = now()

    async def write(self, database: Database) -> None:
        """Write the uses since the last write. If that fails, keep them for the next write."""
        if not self._seen:
            return
        seen, self._seen = self._seen, {}
        try:
            async with database.writing() as session:
                # Every process updates the rows in the same order, which avoids deadlocks.
                for api_key_id, at in sorted(seen.items()):
                    older = ApiKey.last_used_at.is_(None) | (ApiKey.last_used_at < at)
                    await session.execute(
                        update(ApiKey).where(ApiKey.id == api_key_id, older).values(last_used_at=at)
                    )
        except Exception:
            self._seen = seen | self._seen
            raise
