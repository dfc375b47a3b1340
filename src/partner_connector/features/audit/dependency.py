"""The FastAPI dependency of operations that write audit events."""

from typing import Annotated

from fastapi import Depends

from partner_connector.credentials import Caller
from partner_connector.features.audit.chain import PURPOSE
from partner_connector.features.audit.service import Recorder
from partner_connector.web.dependencies import ContextDep, RequestId, authenticate


async def recorder(
    caller: Annotated[Caller, Depends(authenticate)], request_id: RequestId, context: ContextDep
) -> Recorder:
    """Return a recorder whose events name the caller's API key as their actor."""
    key = context.keyring.derive(PURPOSE)
    return Recorder(caller.workspace_id, "api_key", request_id, key, caller.api_key_id)


RecorderDep = Annotated[Recorder, Depends(recorder)]
