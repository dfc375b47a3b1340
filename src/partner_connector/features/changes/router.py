"""`/v1/changes`: what changed, in order, for those who follow it."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from partner_connector.features.changes.repository import ChangeFilter, ChangeRepository
from partner_connector.features.changes.schemas import ChangeKind, ChangePage
from partner_connector.ids import PartnerId
from partner_connector.web.dependencies import PageDep, ReadSession, UsersReader

router = APIRouter(prefix="/v1/changes", tags=["Changes"])


@router.get("", operation_id="listChanges", summary="List changes", response_model=ChangePage)
async def list_changes(
    caller: UsersReader,
    session: ReadSession,
    page: PageDep,
    after: Annotated[
        int,
        Query(
            ge=0,
            le=2**53 - 1,
            description="The last `sequence` that you have seen: what came later is listed.",
            examples=[1041],
            json_schema_extra={"format": "int64"},
        ),
    ] = 0,
    kind: Annotated[
        list[ChangeKind] | None, Query(max_length=14, description="Repeat for “or”.")
    ] = None,
    partner_id: Annotated[PartnerId | None, Query(description="Changes at this partner.")] = None,
) -> Response:
    """Oldest first, and complete: a change never appears before one that you have seen. Within a
    walk `next_cursor` continues; to follow the feed, remember the last `sequence` and come back.
    """
    only = ChangeFilter(after=after, kind=kind or (), partner_id=partner_id)
    return page.answer(*await ChangeRepository(session, caller.workspace_id).page(page, only))
