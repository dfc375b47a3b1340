"""`/v1/partner-users`: people and system users of partners with access to shared assets."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from partner_connector.clock import now
from partner_connector.db.models import Asset, Grant
from partner_connector.features.changes.repository import ChangeRepository
from partner_connector.features.changes.schemas import ChangeView
from partner_connector.features.partner_users.export import partner_users_csv
from partner_connector.features.partner_users.repository import (
    PartnerUserFilter,
    PartnerUserRepository,
)
from partner_connector.features.partner_users.schemas import (
    GrantedAsset,
    GrantView,
    PartnerUserPage,
    PartnerUserView,
)
from partner_connector.ids import PartnerUserId, decode
from partner_connector.web.conditional import KnownTagsDep
from partner_connector.web.dependencies import ContextDep, PageDep, ReadSession, UsersReader
from partner_connector.web.negotiation import CSV, JsonOrCsv

router = APIRouter(prefix="/v1/partner-users", tags=["Partner users"])

HISTORY_LENGTH = 100

PartnerUserSort = Literal["name", "-name", "first_seen_at", "-first_seen_at"]


_ALL_AS_CSV = {
    "schema": {
        "type": "string",
        "maxLength": 2**31 - 1,
        "pattern": r"^[\s\S]*$",
        "description": "A header row, then one row for each user.",
    },
    "example": "id,partner_id,meta_user_id,kind,state,name,…\r\n",
}


@router.get(
    "",
    operation_id="listPartnerUsers",
    summary="List partner users",
    response_model=PartnerUserPage,
    responses={200: {"content": {CSV: _ALL_AS_CSV}}},
)
async def list_partner_users(
    caller: UsersReader,
    context: ContextDep,
    session: ReadSession,
    media_type: JsonOrCsv,
    page: PageDep,
    filters: Annotated[PartnerUserFilter, Query()],
    sort: Annotated[
        PartnerUserSort, Query(description="Sort order. `-` means descending.")
    ] = "name",
    expand: Annotated[
        Literal["grants"] | None, Query(description="`grants` adds each user's assets and tasks.")
    ] = None,
) -> Response:
    """Return the people, system users and pending invites of partners that have access to a shared
    asset. Filters combine with “and”.

    With `Accept: text/csv` the response holds all matching users in the order of their ids (RFC
    4180, UTF-8). `page_size`, `cursor`, `sort` and `expand` have no effect on CSV. A cell that a
    spreadsheet would read as a formula begins with a `'`. A CSV response that breaks off is
    incomplete: its transfer has no end, which HTTP clients report as an error.
    """
    if media_type == CSV:
        return _as_csv(partner_users_csv(context.database, caller.workspace_id, filters))
    users = PartnerUserRepository(session, caller.workspace_id)
    items, cursor = await users.page(page, filters, sort)
    for item in items:
        item |= {"grants": None, "history": None}
    if expand is not None:
        await _add_grants(users, items)
    return page.answer(items, cursor)


@router.get("/{partner_user_id}", operation_id="getPartnerUser", summary="Get a partner user")
async def get_partner_user(
    partner_user_id: PartnerUserId,
    caller: UsersReader,
    session: ReadSession,
    known: KnownTagsDep,
) -> PartnerUserView:
    """Return one partner user with all its grants and its latest changes, newest first."""
    users = PartnerUserRepository(session, caller.workspace_id)
    row, is_token_holder = await users.get(partner_user_id)
    grants = await users.grants_of([row.id])
    changes = ChangeRepository(session, caller.workspace_id)
    history = await changes.latest_of_user(row.id, limit=HISTORY_LENGTH)
    view: PartnerUserView = PartnerUserView.of(
        row,
        is_token_holder=is_token_holder,
        grants=[_grant_view(*pair) for pair in grants.get(row.id, [])],
        history=[ChangeView.model_validate(change) for change in history],
    )
    return known.answer(view)


async def _add_grants(users: PartnerUserRepository, items: Sequence[dict[str, Any]]) -> None:
    ids = {item["id"]: decode("usr", item["id"]) for item in items}
    grants = await users.grants_of(list(ids.values()))
    for item in items:
        item["grants"] = [_grant_view(*pair) for pair in grants.get(ids[item["id"]], [])]


def _as_csv(lines: AsyncIterator[bytes]) -> StreamingResponse:
    name = f"partner-users-{now():%Y-%m-%d}.csv"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Type": f"{CSV}; charset=utf-8; header=present",
        "Vary": "Accept",
    }
    return StreamingResponse(lines, headers=headers)


def _grant_view(grant: Grant, asset: Asset) -> GrantView:
    return GrantView.of(grant, asset=GrantedAsset.model_validate(asset))
