"""Token requests in the database."""

import uuid

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.keyset import KeysetOrder, PageRequest
from partner_connector.db.locks import lock_token_request
from partner_connector.db.models import TokenRequest
from partner_connector.errors import found

_NEWEST_FIRST = KeysetOrder([TokenRequest.__table__.c.id], descending=True)


class TokenRequestRepository:
    """Reads, adds and locks token requests of the workspace that it is created for."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def add(self, token_request: TokenRequest) -> None:
        """Add a new request."""
        self.session.add(token_request)
        await self.session.flush()

    async def get(self, token_request_id: uuid.UUID) -> TokenRequest:
        """Return one request. Raises `NotFound`."""
        query = select(TokenRequest).where(
            TokenRequest.workspace_id == self.workspace_id, TokenRequest.id == token_request_id
        )
        return found(await self.session.scalar(query))

    async def lock(self, token_request_id: uuid.UUID) -> TokenRequest:
        """Lock and return one request. Raises `NotFound`."""
        is_ours = TokenRequest.workspace_id == self.workspace_id
        return found(await lock_token_request(self.session, token_request_id, is_ours))

    async def page(
        self, page: PageRequest, partner_id: uuid.UUID
    ) -> tuple[list[TokenRequest], str | None]:
        """Return a page of one partner's requests, newest first, and the next cursor."""
        query = select(TokenRequest).where(
            TokenRequest.workspace_id == self.workspace_id, TokenRequest.partner_id == partner_id
        )
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, _NEWEST_FIRST)
        return [row[0] for row in rows], cursor


async def by_code_id(session: AsyncSession, code_id: str) -> TokenRequest | None:
    """Return the request with this public half of a code, in any workspace, or None."""
    return await session.scalar(select(TokenRequest).where(TokenRequest.code_id == code_id))


async def lock_by_validation(
    session: AsyncSession, validation_id: uuid.UUID
) -> TokenRequest | None:
    """Lock and return the request whose last token this validation checks, or None."""
    has_validation = TokenRequest.validation_id == validation_id
    request_id = await session.scalar(select(TokenRequest.id).where(has_validation))
    return await lock_token_request(session, request_id, has_validation)
