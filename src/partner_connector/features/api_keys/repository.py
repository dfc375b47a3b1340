"""API keys of one workspace in the database."""

import uuid
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.keyset import KeysetOrder, PageRequest
from partner_connector.db.locks import lock_api_key
from partner_connector.db.models import ApiKey
from partner_connector.errors import found

_NEWEST_FIRST = KeysetOrder([ApiKey.__table__.c.id], descending=True)


class ApiKeyRepository:
    """Access to the API keys of one workspace."""

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

    async def list_all(self) -> Sequence[ApiKey]:
        """Return every key, newest first."""
        query = select(ApiKey).where(ApiKey.workspace_id == self.workspace_id)
        return (await self.session.scalars(query.order_by(ApiKey.id.desc()))).all()

    async def page(self, page: PageRequest) -> tuple[list[ApiKey], str | None]:
        """Return one page of keys, newest first, and the cursor of the next page."""
        query = select(ApiKey).where(ApiKey.workspace_id == self.workspace_id)
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, _NEWEST_FIRST)
        return [row[0] for row in rows], cursor
