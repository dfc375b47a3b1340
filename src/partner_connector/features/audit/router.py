"""`/v1/audit-events`: who decided what."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from partner_connector.features.audit.chain import PURPOSE, Anchor, verify
from partner_connector.features.audit.repository import AuditEventRepository
from partner_connector.features.audit.schemas import (
    EXAMPLE_ANCHOR,
    AuditEventPage,
    AuditVerification,
    audit_verification,
)
from partner_connector.web.dependencies import AuditReader, ContextDep, PageDep, ReadSession

router = APIRouter(prefix="/v1/audit-events", tags=["Audit"])


@router.get(
    "",
    operation_id="listAuditEvents",
    summary="List audit events",
    response_model=AuditEventPage,
)
async def list_audit_events(caller: AuditReader, session: ReadSession, page: PageDep) -> Response:
    """Newest first. Each was written together with what it tells."""
    return page.answer(*await AuditEventRepository(session, caller.workspace_id).page(page))


@router.get("/verify", operation_id="verifyAuditEvents", summary="Verify the audit events")
async def verify_audit_events(
    caller: AuditReader,
    context: ContextDep,
    anchor: Annotated[
        str | None,
        Query(
            max_length=90,
            pattern=r"^[0-9]{1,18}:[0-9a-f]{64}$",
            description="What an earlier verification, or the worker's log, told as its anchor.",
            examples=[EXAMPLE_ANCHOR],
        ),
    ] = None,
) -> AuditVerification:
    """Follows the chain through every event of the workspace: reads them all, so ask rarely."""
    known = Anchor.parse(anchor) if anchor is not None else None
    key = context.keyring.derive(PURPOSE)
    async with context.database.reading() as session:
        return audit_verification(await verify(session, key, caller.workspace_id, known))
