"""Partner users of one workspace in the database."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Row, Select, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.errors import found
from partner_connector.models import Asset, Grant, Partner, PartnerUser, Token
from partner_connector.pagination import KeysetOrder, PageRequest
from partner_connector.partner_users.schemas import PartnerUserView
from partner_connector.wire import WireRow

Query = TypeVar("Query", bound=Select[*tuple[Any, ...]])

# Columns of tables, not attributes of entities: lists need no ORM.
_USER, _GRANT, _TOKEN = PartnerUser.__table__.c, Grant.__table__.c, Token.__table__.c

SORTS = {
    "name": KeysetOrder([_USER.name, _USER.id]),
    "-name": KeysetOrder([_USER.name, _USER.id], descending=True),
    "first_seen_at": KeysetOrder([_USER.first_seen_at, _USER.id]),
    "-first_seen_at": KeysetOrder([_USER.first_seen_at, _USER.id], descending=True),
}

# Whether this is the system user whose token the partner is connected with.
_HOLDS_OUR_TOKEN = exists().where(
    _TOKEN.integration_id == _USER.integration_id,
    _TOKEN.partner_id == _USER.partner_id,
    _TOKEN.state == "active",
    _TOKEN.system_user_id == _USER.meta_user_id,
)
_WIRE = WireRow(PartnerUserView, PartnerUser.__table__, holds_our_token=_HOLDS_OUR_TOKEN)
_LISTED = select(*_WIRE.columns)


@dataclass(frozen=True, slots=True)
class PartnerUserFilter:
    """What a list of partner users is narrowed to. Several values of one filter mean “or”."""

    partner_id: uuid.UUID | None = None
    integration_id: uuid.UUID | None = None
    asset_id: uuid.UUID | None = None
    kind: Sequence[str] = ()
    state: Sequence[str] = ()
    role_class: Sequence[str] = ()
    two_factor: Sequence[str] = ()
    email: str | None = None
    q: str | None = None

    def apply(self, query: Query) -> Query:
        """Narrow the query."""
        for column, value in (
            (_USER.partner_id, self.partner_id),
            (_USER.integration_id, self.integration_id),
        ):
            if value is not None:
                query = query.where(column == value)
        for text_column, values in (
            (_USER.kind, self.kind),
            (_USER.state, self.state),
            (_USER.role_class, self.role_class),
            (_USER.two_factor, self.two_factor),
        ):
            if values:
                query = query.where(text_column.in_(values))
        if self.asset_id is not None:
            on_asset = exists().where(
                _GRANT.partner_user_id == _USER.id, _GRANT.asset_id == self.asset_id
            )
            query = query.where(on_asset)
        if self.email:
            query = query.where(_USER.email == self.email.strip().lower())
        if self.q:
            anywhere = or_(
                _USER.name.icontains(self.q, autoescape=True),
                _USER.email.icontains(self.q, autoescape=True),
            )
            query = query.where(anywhere)
        return query


class PartnerUserRepository:
    """Bound to its workspace when it is made."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def get(self, user_id: uuid.UUID) -> tuple[PartnerUser, bool]:
        """One partner user, and whether it holds our token. Raises `NotFound`."""
        query = self._users().where(PartnerUser.id == user_id)
        user, holds_our_token = found((await self.session.execute(query)).one_or_none())
        return user, holds_our_token

    async def page(
        self, page: PageRequest, only: PartnerUserFilter, sort: str
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Partner users in the asked-for order, as the wire has them."""
        query = only.apply(_LISTED.where(_USER.workspace_id == self.workspace_id))
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, SORTS[sort])
        return [_WIRE.item(row) for row in rows], cursor

    async def rows(
        self,
        names: Sequence[str],
        only: PartnerUserFilter,
        *,
        after: uuid.UUID | None,
        at_most: int,
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """The next users in the order of their ids: these columns, then the partner's name."""
        columns = [PartnerUser.__table__.c[name] for name in names]
        query = (
            select(*columns, Partner.name)
            .join(Partner, Partner.id == PartnerUser.partner_id)
            .where(PartnerUser.workspace_id == self.workspace_id)
            .order_by(PartnerUser.id)
            .limit(at_most)
        )
        if after is not None:
            query = query.where(PartnerUser.id > after)
        return (await self.session.execute(only.apply(query))).all()

    async def grants_of(
        self, user_ids: Sequence[uuid.UUID]
    ) -> dict[uuid.UUID, list[tuple[Grant, Asset]]]:
        """The grants of a page of users, in one statement."""
        query = (
            select(Grant, Asset)
            .join(Asset, Asset.id == Grant.asset_id)
            .where(Grant.workspace_id == self.workspace_id, Grant.partner_user_id.in_(user_ids))
            .order_by(Asset.type, Asset.name, Asset.id, Grant.via)
        )
        by_user: dict[uuid.UUID, list[tuple[Grant, Asset]]] = defaultdict(list)
        for grant, asset in (await self.session.execute(query)).all():
            by_user[grant.partner_user_id].append((grant, asset))
        return by_user

    def _users(self) -> Select[PartnerUser, bool]:
        return select(PartnerUser, _HOLDS_OUR_TOKEN).where(
            PartnerUser.workspace_id == self.workspace_id
        )
