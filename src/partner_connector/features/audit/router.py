"""`/v1/audit-events`: the record of decisions, and the verification of its chain."""

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
    """Return the audit events of the workspace, newest first. Each event records who did what to
    which resource, and was committed in the same transaction as the change that it records.
    """
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
            description="An anchor from an earlier verification or from the worker's log. With it, "
            "the verification also finds events that were removed from the end of the chain.",
            examples=[EXAMPLE_ANCHOR],
        ),
    ] = None,
) -> AuditVerification:
    """Check that no audit event of the workspace was changed, removed, inserted or reordered. Use
    it in an audit, and send the `anchor` of an earlier verification if you have one. It reads every
    event, so call it rarely. `broken` names the first place where the chain does not hold.
    """
    known = Anchor.parse(anchor) if anchor is not None else None
    key = context.keyring.derive(PURPOSE)
    async with context.database.reading() as session:
        return audit_verification(await verify(session, key, caller.workspace_id, known))
