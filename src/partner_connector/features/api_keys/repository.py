"""API keys of one workspace in the database."""

import uuid

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.keyset import KeysetOrder, PageRequest
from partner_connector.db.locks import lock_api_key
from partner_connector.db.models import ApiKey
from partner_connector.errors import found

_NEWEST_FIRST = KeysetOrder([ApiKey.__table__.c.id], descending=True)


class ApiKeyRepository:
    """Bound to its workspace when it is made."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def add(self, key: ApiKey) -> None:
        """Store a new key."""
        self.session.add(key)
        await self.session.flush()

    async def get(self, api_key_id: uuid.UUID) -> ApiKey:
        """Return one key. Raises `NotFound`."""
        query = select(ApiKey).where(
            ApiKey.workspace_id == self.workspace_id, ApiKey.id == api_key_id
        )
        return found(await self.session.scalar(query))

    async def lock(self, api_key_id: uuid.UUID) -> ApiKey:
        """Lock and return one key. Raises `NotFound`."""
        is_ours = ApiKey.workspace_id == self.workspace_id
        return found(await lock_api_key(self.session, api_key_id, is_ours))

    async def page(self, page: PageRequest) -> tuple[list[ApiKey], str | None]:
        """Newest first."""
        query = select(ApiKey).where(ApiKey.workspace_id == self.workspace_id)
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, _NEWEST_FIRST)
        return [row[0] for row in rows], cursor
