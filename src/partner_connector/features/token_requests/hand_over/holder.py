"""Authentication of the partner's admin by the code of a token request."""

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
from partner_connector.web.idempotency import IdempotencyKeyHeader, IdempotentRequest

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="tokenRequestCode",
    bearerFormat="trc_…",
    description="The code of a token request (`trc_…`): the part of its link after the `#`. Send "
    "the whole code. These operations accept no API key, and no other operation accepts a code.",
)


async def authenticate(
    request: Request,
    context: ContextDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> TokenRequest:
    """Return the token request that the code belongs to.

    Raises `CodeNotAccepted` for a missing or unknown code, `RateLimited` for too many wrong codes
    from one address or too many requests with one code. The returned request may have ended, so
    that a client that lost a response can repeat its request and get the stored response.
    """
    token_request = await _request_of(credentials.credentials if credentials else "", context)
    if token_request is None:
        # Only wrong codes count, so that a valid code works from an address where others guess.
        await context.rate_limiter.count_request(f"wrong codes from {_address(request)}")
        raise CodeNotAccepted
    structlog.contextvars.bind_contextvars(
        workspace_id=str(token_request.workspace_id), token_request_id=str(token_request.id)
    )
    request.state.allowance = await context.rate_limiter.count_request(str(token_request.id))
    return token_request


async def _request_of(code: str, context: ApiContext) -> TokenRequest | None:
    code_id = credentials.key_id_of(code, credentials.CODE_PREFIX)
    if code_id is None:
        return None
    async with context.database.autocommit_reads() as session:
        row = await by_code_id(session, code_id)
    stored = row.digest if row is not None else credentials.digest("", context.request_code_pepper)
    # Compared even if there is no such row, so that both cases take the same time.
    genuine = credentials.matches(code, stored, context.request_code_pepper)
    return row if genuine else None


def _address(request: Request) -> str:
    return request.client.host if request.client else "nowhere"


Holder = Annotated[TokenRequest, Depends(authenticate)]


async def recorder(holder: Holder, request_id: RequestId, context: ContextDep) -> Recorder:
    """Return a recorder of audit events whose actor is the token request."""
    key = context.keyring.derive(PURPOSE)
    return Recorder(holder.workspace_id, "token_request", request_id, key)


async def idempotent(
    request: Request,
    response: Response,
    context: ContextDep,
    holder: Holder,
    key: IdempotencyKeyHeader = None,
) -> IdempotentRequest:
    """Return the idempotency of this request. Keys are separate for each code."""
    of = encode("trq", holder.id)
    return IdempotentRequest(
        context, request, response, workspace_id=holder.workspace_id, key=key, of=of
    )


HolderIdempotentRequestDep = Annotated[IdempotentRequest, Depends(idempotent)]
HolderRecorder = Annotated[Recorder, Depends(recorder)]
