"""What an operation that decides something asks for in its signature."""

from typing import Annotated

from fastapi import Depends

from partner_connector.credentials import Caller
from partner_connector.features.audit.chain import PURPOSE
from partner_connector.features.audit.service import Recorder
from partner_connector.web.dependencies import ContextDep, RequestId, authenticate


async def recorder(
    caller: Annotated[Caller, Depends(authenticate)], request_id: RequestId, context: ContextDep
) -> Recorder:
    """Records in the name of the caller's key."""
    key = context.keyring.derive(PURPOSE)
    return Recorder(caller.workspace_id, "api_key", request_id, key, caller.api_key_id)


RecorderDep = Annotated[Recorder, Depends(recorder)]
