"""When each API key was last used: kept in memory, and written down now and then.

A request waits for no write of its own that way. What was not written when a process is killed is
lost, which makes a key look unused for at most that long.
"""

import uuid
from datetime import datetime

from sqlalchemy import update

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import ApiKey

WRITTEN_EVERY_SECONDS = 30.0


class KeyUsage:
    """Of one process. The newest use counts, whichever process saw it."""

    def __init__(self) -> None:
        self._seen: dict[uuid.UUID, datetime] = {}

    def note(self, api_key_id: uuid.UUID) -> None:
        """The key was just used."""
        self._seen[api_key_id] = now()

    async def write(self, database: Database) -> None:
        """Write down what was noted since the last time; if that fails, the next time."""
        if not self._seen:
            return
        seen, self._seen = self._seen, {}
        try:
            async with database.writing() as session:
                # In one order everywhere, so that two processes never wait for each other.
                for api_key_id, at in sorted(seen.items()):
                    older = ApiKey.last_used_at.is_(None) | (ApiKey.last_used_at < at)
                    await session.execute(
                        update(ApiKey).where(ApiKey.id == api_key_id, older).values(last_used_at=at)
                    )
        except Exception:
            self._seen = seen | self._seen
            raise
