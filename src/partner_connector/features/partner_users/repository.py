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

# Columns of tables, not ORM attributes: lists are read without the ORM.
_USER, _GRANT, _TOKEN = PartnerUser.__table__.c, Grant.__table__.c, Token.__table__.c

SORTS = {
    "name": KeysetOrder([_USER.name, _USER.id]),
    "-name": KeysetOrder([_USER.name, _USER.id], descending=True),
    "first_seen_at": KeysetOrder([_USER.first_seen_at, _USER.id]),
    "-first_seen_at": KeysetOrder([_USER.first_seen_at, _USER.id], descending=True),
}

# True for the system user that the partner's active token belongs to.
_IS_TOKEN_HOLDER = exists().where(
    _TOKEN.integration_id == _USER.integration_id,
    _TOKEN.partner_id == _USER.partner_id,
    _TOKEN.state == "active",
    _TOKEN.system_user_id == _USER.meta_user_id,
)
_WIRE = WireRow(PartnerUserView, PartnerUser.__table__, is_token_holder=_IS_TOKEN_HOLDER)


# Condition of each filter, by its name. A statement is built once for a set of given filters and
# cached, since building it costs as much as reading the page.
_CONDITIONS: dict[str, ColumnElement[bool]] = {
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
    """Query parameters that filter a list of partner users."""

    partner_id: PartnerId | None = Field(
        default=None, description="Return only users of this partner."
    )
    integration_id: IntegrationId | None = Field(
        default=None, description="Return only users of this integration's partners."
    )
    asset_id: AssetId | None = Field(
        default=None, description="Return only users with access to this asset."
    )
    kind: list[PersonKind] | None = Field(
        default=None, max_length=3, description="Repeat to match any of several values."
    )
    state: list[State] | None = Field(
        default=None,
        max_length=2,
        description="Return users in this state. Without this filter, active and removed users are "
        "returned.",
    )
    role_class: list[RoleClass] | None = Field(
        default=None, max_length=4, description="Repeat to match any of several values."
    )
    two_factor: list[TwoFactor] | None = Field(
        default=None, max_length=3, description="Repeat to match any of several values."
    )
    email: FilterText = Field(
        default=None,
        description="Return users with exactly this email address. Case is ignored.",
        examples=["ada@example.com"],
    )
    q: FilterText = Field(
        default=None,
        description="Return users whose name or email address contains this text. Case is ignored.",
        examples=["ada"],
    )

    def values(self) -> dict[str, Any]:
        """Return the given filters as bound parameters of the statement."""
        given = {name: value for name in _CONDITIONS if (value := getattr(self, name))}
        if self.email:
            given["email"] = self.email.strip().lower()
        if self.q:
            given["q"] = re.sub(r"([/%_])", r"/\1", self.q)
        return given


@lru_cache
def _listed(given: tuple[str, ...]) -> Select[*tuple[Any, ...]]:
    query = select(*_WIRE.columns).where(_USER.workspace_id == bindparam("workspace_id"))
    return query.where(*(_CONDITIONS[name] for name in given))


class PartnerUserRepository:
    """Reads partner users of the workspace that it is created for."""

    def __init__(self, session: AsyncSession, workspace_id: uuid.UUID) -> None:
        self.session = session
        self.workspace_id = workspace_id

    async def get(self, user_id: uuid.UUID) -> tuple[PartnerUser, bool]:
        """Return a partner user, and whether the partner's active token belongs to it.

        Raises `NotFound`.
        """
        query = select(PartnerUser, _IS_TOKEN_HOLDER).where(
            PartnerUser.workspace_id == self.workspace_id, PartnerUser.id == user_id
        )
        user, is_token_holder = found((await self.session.execute(query)).one_or_none())
        return user, is_token_holder

    async def page(
        self, page: PageRequest, filters: PartnerUserFilter, sort: str
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of partner users as JSON-ready dictionaries, and the next cursor."""
        given = filters.values()
        query = _listed(tuple(given))
        rows, cursor = await page.fetch(self.session, self.workspace_id, query, SORTS[sort], given)
        return [_WIRE.item(row) for row in rows], cursor

    async def rows(
        self,
        names: Sequence[str],
        filters: PartnerUserFilter,
        *,
        after: uuid.UUID | None,
        limit: int,
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """Return the next users in the order of their ids: these columns, then the partner's name.

        `after` is the last id of the previous rows; None: from the start.
        """
        given = filters.values()
        query = (
            select(*(_USER[name] for name in names), Partner.name)
            .join(Partner, Partner.id == _USER.partner_id)
            .where(_USER.workspace_id == self.workspace_id)
            .where(*(_CONDITIONS[name] for name in given))
            .order_by(_USER.id)
            .limit(limit)
        )
        if after is not None:
            query = query.where(_USER.id > after)
        return (await self.session.execute(query, given)).all()

    async def grants_of(
        self, user_ids: Sequence[uuid.UUID]
    ) -> dict[uuid.UUID, list[tuple[Grant, Asset]]]:
        """Return the grants of these users by user id, read in one statement."""
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
