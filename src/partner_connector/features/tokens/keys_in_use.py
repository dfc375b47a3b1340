"""Queries about the keys that stored tokens are sealed under, in all workspaces."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.models import Token


async def tokens_by_key(session: AsyncSession) -> dict[str, int]:
    """Return the number of tokens sealed under each key. Wiped tokens are not counted."""
    query = select(Token.key_id, func.count().label("tokens")).where(Token.sealed.is_not(None))
    counted = (await session.execute(query.group_by(Token.key_id))).all()
    return {row.key_id: row.tokens for row in counted}


def sealed_under(key_ids: Collection[str]) -> ColumnElement[bool]:
    """Return a condition: the token is sealed under one of these keys."""
    return and_(Token.sealed.is_not(None), Token.key_id.in_(key_ids))


def sealed_under_none_of(key_ids: Collection[str]) -> ColumnElement[bool]:
    """Return a condition: the token is sealed under another key, so it cannot be opened."""
    return and_(Token.sealed.is_not(None), Token.key_id.not_in(key_ids))
