"""`/v1/changes`: the change feed."""

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
    filters: Annotated[ChangeFilter, Query()],
) -> Response:
    """Return the changes that checks for updates found, oldest first. The feed is complete: a new
    change always comes after those that you have read. Use `next_cursor` to read the next page. To
    follow the feed, store the last `sequence` and send it as `after` in the next request.
    """
    return page.answer(*await ChangeRepository(session, caller.workspace_id).page(page, filters))
