"""`/v1/changes`: what changed, in order, for those who follow it."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from partner_connector.features.changes.repository import ChangeFilter, ChangeRepository
from partner_connector.features.changes.schemas import ChangePage
from partner_connector.web.dependencies import PageDep, ReadSession, UsersReader

router = APIRouter(prefix="/v1/changes", tags=["Changes"])


@router.get("", operation_id="listChanges", summary="List changes", response_model=ChangePage)
async def list_changes(
    caller: UsersReader,
    session: ReadSession,
    page: PageDep,
    only: Annotated[ChangeFilter, Query()],
) -> Response:
    """Oldest first, and complete: a change never appears before one that you have seen. Within a
    walk `next_cursor` continues; to follow the feed, remember the last `sequence` and come back.
    """
    return page.answer(*await ChangeRepository(session, caller.workspace_id).page(page, only))
