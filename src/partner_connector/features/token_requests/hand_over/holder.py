"""Whoever holds the code of a token request: the partner's side has no other credential."""

from typing import Annotated

import structlog
from fastapi import Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from partner_connector import credentials
from partner_connector.db.models import TokenRequest
from partner_connector.features.audit.chain import PURPOSE
from partner_connector.features.audit.service import Recorder
from partner_connector.features.token_requests.problems import CodeNotAccepted
from partner_connector.features.token_requests.repository import by_code_id
from partner_connector.ids import encode
from partner_connector.web.context import ApiContext
from partner_connector.web.dependencies import ContextDep, RequestId
from partner_connector.web.idempotency import GivenKey, Once

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="tokenRequestCode",
    bearerFormat="trc_…",
    description="The code of a token request: what follows the `#` of its link. An API key is "
    "not accepted here, nor a code anywhere else.",
)


async def authenticate(
    request: Request,
    context: ContextDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> TokenRequest:
    """The request that the code is for.

    Raises `CodeNotAccepted`, alike for every code that never was, or `RateLimited` where an address
    tries many. The request may have ended: whoever lost an answer is still given it.
    """
    token_request = await _known(credentials.credentials if credentials else "", context)
    if token_request is None:
        # Only wrong codes are counted: nobody is kept out by what others at his address try.
        await context.rate_limiter.spend(f"wrong codes from {_address(request)}")
        raise CodeNotAccepted
    structlog.contextvars.bind_contextvars(
        workspace_id=str(token_request.workspace_id), token_request_id=str(token_request.id)
    )
    request.state.allowance = await context.rate_limiter.spend(str(token_request.id))
    return token_request


async def _known(code: str, context: ApiContext) -> TokenRequest | None:
    code_id = credentials.key_id_of(code, credentials.CODE_PREFIX)
    if code_id is None:
        return None
    async with context.database.looking() as session:
        row = await by_code_id(session, code_id)
    stored = row.digest if row is not None else credentials.digest("", context.request_code_pepper)
    # Compared even when there is no such row, so that both cases take as long.
    genuine = credentials.matches(code, stored, context.request_code_pepper)
    return row if genuine else None


def _address(request: Request) -> str:
    return request.client.host if request.client else "nowhere"


Holder = Annotated[TokenRequest, Depends(authenticate)]


async def recorder(holder: Holder, request_id: RequestId, context: ContextDep) -> Recorder:
    """Records what the partner does with a code."""
    key = context.keyring.derive(PURPOSE)
    return Recorder(holder.workspace_id, "token_request", request_id, key)


async def once(
    request: Request, response: Response, context: ContextDep, holder: Holder, key: GivenKey = None
) -> Once:
    """The effect of this request, which a key makes happen once under this code."""
    of = encode("trq", holder.id)
    return Once(context, request, response, workspace_id=holder.workspace_id, key=key, of=of)


HolderOnce = Annotated[Once, Depends(once)]
HolderRecorder = Annotated[Recorder, Depends(recorder)]
