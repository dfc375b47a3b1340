"""Partner users of one workspace in the database."""

import re
import uuid
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from sqlalchemy import ColumnElement, Row, Select, bindparam, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.db.facts import PersonKind, RoleClass, TwoFactor
from partner_connector.db.keyset import KeysetOrder, PageRequest
from partner_connector.db.models import Asset, Grant, Partner, PartnerUser, Token
from partner_connector.errors import found
from partner_connector.features.partner_users.schemas import PartnerUserView
from partner_connector.ids import AssetId, IntegrationId, PartnerId
from partner_connector.web.rows import WireRow

State = Literal["active", "removed"]
FilterText = Annotated[str | None, Field(min_length=1, max_length=320, pattern=r"^[^\x00]*$")]

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
_WIRE = WireRow(PartnerUserView, PartnerUser.__table__, is_token_holder=_HOLDS_OUR_TOKEN)


# By the name of the filter. Statements are put together once for the filters that are given, and
# kept: that costs as much as reading the page.
_NARROWED: dict[str, ColumnElement[bool]] = {
    "partner_id": _USER.partner_id == bindparam("partner_id"),
    "integration_id": _USER.integration_id == bindparam("integration_id"),
    "asset_id": exists().where(
        _GRANT.partner_user_id == _USER.id, _GRANT.asset_id == bindparam("asset_id")
    ),
    "kind": _USER.kind.in_(bindparam("kind", expanding=True)),
    "state": _USER.state.in_(bindparam("state", expanding=True)),
    "role_class": _USER.role_class.in_(bindparam("role_class", expanding=True)),
    "two_factor": _USER.two_factor.in_(bindparam("two_factor", expanding=True)),
    "email": _USER.email == bindparam("email"),
    "q": or_(
        _USER.name.icontains(bindparam("q"), escape="/"),
        _USER.email.icontains(bindparam("q"), escape="/"),
    ),
}


class PartnerUserFilter(BaseModel):
    """Query parameters that narrow a list of partner users."""

    partner_id: PartnerId | None = Field(default=None, description="Users of this partner.")
    integration_id: IntegrationId | None = Field(
        default=None, description="Users of this integration's partners."
    )
    asset_id: AssetId | None = Field(default=None, description="Users with access to it.")
    kind: list[PersonKind] | None = Field(
        default=None, max_length=3, description="Repeat for “or”."
    )
    state: list[State] | None = Field(
        default=None, max_length=2, description="Without it: active and removed."
    )
    role_class: list[RoleClass] | None = Field(
        default=None, max_length=4, description="Repeat for “or”."
    )
    two_factor: list[TwoFactor] | None = Field(
        default=None, max_length=3, description="Repeat for “or”."
    )
    email: FilterText = Field(
        default=None, description="The whole address, in any case.", examples=["ada@example.com"]
    )
    q: FilterText = Field(
        default=None, description="Part of the name or address.", examples=["ada"]
    )

    def values(self) -> dict[str, Any]:
        """Those that are given, as the statement takes them."""
        given = {name: value for name in _NARROWED if (value := getattr(self, name))}
        if self.email:
            given["email"] = self.email.strip().lower()
        if self.q:
            given["q"] = re.sub(r"([/%_])", r"/\1", self.q)
        return given


@lru_cache
def _listed(given: tuple[str, ...]) -> Select[*tuple[Any, ...]]:
    mine = select(*_WIRE.columns).where(_USER.workspace_id == bindparam("workspace_id"))
    return mine.where(*(_NARROWED[name] for name in given))


class PartnerUserRepository:
    """Bound to its workspace when it is made."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def get(self, user_id: uuid.UUID) -> tuple[PartnerUser, bool]:
        """One partner user, and whether it holds our token. Raises `NotFound`."""
        query = select(PartnerUser, _HOLDS_OUR_TOKEN).where(
            PartnerUser.workspace_id == self.workspace_id, PartnerUser.id == user_id
        )
        user, is_token_holder = found((await self.session.execute(query)).one_or_none())
        return user, is_token_holder

    async def page(
        self, page: PageRequest, only: PartnerUserFilter, sort: str
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Partner users in the asked-for order, as the wire has them."""
        given = only.values()
        query = _listed(tuple(given))
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, SORTS[sort], given)
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
        given = only.values()
        query = (
            select(*(_USER[name] for name in names), Partner.name)
            .join(Partner, Partner.id == _USER.partner_id)
            .where(_USER.workspace_id == self.workspace_id)
            .where(*(_NARROWED[name] for name in given))
            .order_by(_USER.id)
            .limit(at_most)
        )
        if after is not None:
            query = query.where(_USER.id > after)
        return (await self.session.execute(query, given)).all()

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
