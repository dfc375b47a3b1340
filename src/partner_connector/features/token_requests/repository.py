"""Token requests in the database."""

import uuid

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.keyset import KeysetOrder, PageRequest
from partner_connector.db.models import TokenRequest
from partner_connector.errors import found

_NEWEST_FIRST = KeysetOrder([TokenRequest.__table__.c.id], descending=True)


class TokenRequestRepository:
    """Bound to its workspace when it is made."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def add(self, token_request: TokenRequest) -> None:
        """Store a new request."""
        self.session.add(token_request)
        await self.session.flush()

    async def get(self, token_request_id: uuid.UUID) -> TokenRequest:
        """One request. Raises `NotFound`."""
        return found(await self.session.scalar(self._one(token_request_id)))

    async def get_for_update(self, token_request_id: uuid.UUID) -> TokenRequest:
        """One request, its row locked and as it is now. Raises `NotFound`."""
        query = self._one(token_request_id).with_for_update()
        return found(await self.session.scalar(query.execution_options(populate_existing=True)))

    async def page(
        self, page: PageRequest, partner_id: uuid.UUID
    ) -> tuple[list[TokenRequest], str | None]:
        """Requests of one partner, newest first."""
        query = select(TokenRequest).where(
            TokenRequest.workspace_id == self.workspace_id, TokenRequest.partner_id == partner_id
        )
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, _NEWEST_FIRST)
        return [row[0] for row in rows], cursor

    def _one(self, token_request_id: uuid.UUID) -> Select[TokenRequest]:
        return select(TokenRequest).where(
            TokenRequest.workspace_id == self.workspace_id, TokenRequest.id == token_request_id
        )


async def by_code_id(session: AsyncSession, code_id: str) -> TokenRequest | None:
    """The request with this public half of a code: the code itself says whose it is."""
    return await session.scalar(select(TokenRequest).where(TokenRequest.code_id == code_id))


async def proven_by(session: AsyncSession, validation_id: uuid.UUID) -> TokenRequest | None:
    """The request whose last token this proof is about, its row locked."""
    query = select(TokenRequest).where(TokenRequest.validation_id == validation_id)
    return await session.scalar(query.with_for_update())
