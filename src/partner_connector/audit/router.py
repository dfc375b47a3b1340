"""`/v1/audit-events`: who decided what."""

from fastapi import APIRouter

from partner_connector.audit.repository import AuditEventRepository
from partner_connector.audit.schemas import AuditEventPage, AuditEventView
from partner_connector.dependencies import AuditReader, PageDep, ReadSession

router = APIRouter(prefix="/v1/audit-events", tags=["Audit"])


@router.get("", operation_id="listAuditEvents", summary="List audit events")
async def list_audit_events(
    caller: AuditReader, session: ReadSession, page: PageDep
) -> AuditEventPage:
    """Newest first. Each was written together with what it tells."""
    rows, cursor = await AuditEventRepository(session, caller.workspace_id).page(page)
    items = [AuditEventView.model_validate(row) for row in rows]
    return AuditEventPage(items=items, next_cursor=cursor)
