"""FastAPI dependencies of the operations."""

from collections.abc import AsyncIterator
from typing import Annotated

import structlog
from fastapi import Depends, Header, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from sqlalchemy import bindparam, literal, null, select, type_coerce, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import NullType

from partner_connector import credentials
from partner_connector.clock import now
from partner_connector.credentials import DUMMY_DIGEST, Caller, Scope
from partner_connector.db.models import ApiKey
from partner_connector.db.reads import Query
from partner_connector.errors import NotAuthenticated, ScopeMissing, Unprocessable
from partner_connector.web.context import ApiContext
from partner_connector.web.idempotency import IdempotencyKeyHeader, IdempotentRequest
from partner_connector.web.pagination import CursorText, ListRequest, PageSize

MAX_WAIT_SECONDS = 30

_KEYS = ApiKey.__table__.c
_RETURNED = (_KEYS.id, _KEYS.workspace_id, _KEYS.scopes, _KEYS.expires_at, _KEYS.revoked_at)
# The query finds one row whether or not the key exists, so that the time of a refusal reveals
# nothing. All columns but the digest are raw driver values, which are converted only after the
# secret was compared.
_KEY: Query = (
    union_all(
        select(
            literal(0).label("rank"),
            _KEYS.digest.label("digest"),
            *(type_coerce(each, NullType()).label(each.name) for each in _RETURNED),
        ).where(_KEYS.key_id == bindparam("key_id")),
        select(literal(1), literal(DUMMY_DIGEST), *(null() for _ in _RETURNED)),
    )
    .order_by("rank")
    .limit(1)
)

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="apiKey",
    bearerFormat="pck_…",
    description="An API key. The key selects the workspace; nothing else in the request does.",
)


def context_of(request: Request) -> ApiContext:
    """Return the context that was built at startup, for use in dependencies.

    A function call is cheaper than a sub-dependency, which FastAPI resolves again for each use. All
    dependencies are `async`, because FastAPI runs any other kind in a thread.
    """
    context = request.app.state.context
    assert isinstance(context, ApiContext)
    return context


async def api_context(request: Request) -> ApiContext:
    """Return the context that was built at startup, for use in operations."""
    return context_of(request)


ContextDep = Annotated[ApiContext, Depends(api_context)]


async def writing_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Yield a session whose transaction commits before the response is sent."""
    async with context_of(request).database.writing() as session:
        yield session


async def reading_session(request: Request) -> AsyncIterator[AsyncSession]:
    """Yield a read-only session in which each statement sees the current data."""
    async with context_of(request).database.autocommit_reads() as session:
        yield session


# Function scope: with the default scope, the commit would come after the response is sent.
WriteSession = Annotated[AsyncSession, Depends(writing_session, scope="function")]
ReadSession = Annotated[AsyncSession, Depends(reading_session, scope="function")]


async def authenticate(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Caller:
    """Return the caller. Raises the same `NotAuthenticated` for every kind of wrong key."""
    context = context_of(request)
    key = credentials.credentials if credentials else ""
    caller = await _caller_of(key, context)
    structlog.contextvars.bind_contextvars(
        workspace_id=str(caller.workspace_id), api_key_id=str(caller.api_key_id)
    )
    # Kept in the request's state: the middleware adds these headers to failures too.
    request.state.allowance = await context.rate_limiter.count_request(str(caller.api_key_id))
    return caller


async def _caller_of(key: str, context: ApiContext) -> Caller:
    key_id = credentials.key_id_of(key)
    if key_id is None:
        raise NotAuthenticated
    _, stored, *values = await context.database.fetch_row(_KEY, key_id=key_id)
    if not credentials.matches(key, stored, context.api_key_pepper):
        raise NotAuthenticated
    pairs = zip(_RETURNED, values, strict=True)
    key_uuid, workspace_id, scopes, expires_at, revoked_at = (
        context.database.typed(*pair) for pair in pairs
    )
    if revoked_at is not None or (expires_at is not None and expires_at <= now()):
        raise NotAuthenticated
    context.key_usage.record(key_uuid)
    return Caller(workspace_id, key_uuid, frozenset(scopes), expires_at)


async def authorize(
    needed: SecurityScopes, caller: Annotated[Caller, Depends(authenticate)]
) -> Caller:
    """Return the caller. Raises `ScopeMissing` if its key lacks a scope of the operation."""
    if not caller.scopes.issuperset(needed.scopes):
        raise ScopeMissing(
            f"This operation needs the scope `{' '.join(needed.scopes)}`. Use a key that has it."
        )
    return caller


# Every operation under /v1 has one of these as a parameter, and OpenAPI shows its scope. A test
# checks that.
AnyCaller = Annotated[Caller, Security(authorize, scopes=[])]
IntegrationsReader = Annotated[Caller, Security(authorize, scopes=[Scope.INTEGRATIONS_READ])]
IntegrationsWriter = Annotated[Caller, Security(authorize, scopes=[Scope.INTEGRATIONS_WRITE])]
PartnersReader = Annotated[Caller, Security(authorize, scopes=[Scope.PARTNERS_READ])]
TokensWriter = Annotated[Caller, Security(authorize, scopes=[Scope.TOKENS_WRITE])]
SyncsReader = Annotated[Caller, Security(authorize, scopes=[Scope.SYNCS_READ])]
SyncsRunner = Annotated[Caller, Security(authorize, scopes=[Scope.SYNCS_RUN])]
SyncsApprover = Annotated[Caller, Security(authorize, scopes=[Scope.SYNCS_APPROVE])]
UsersReader = Annotated[Caller, Security(authorize, scopes=[Scope.USERS_READ])]
WebhooksReader = Annotated[Caller, Security(authorize, scopes=[Scope.WEBHOOKS_READ])]
WebhooksWriter = Annotated[Caller, Security(authorize, scopes=[Scope.WEBHOOKS_WRITE])]
AuditReader = Annotated[Caller, Security(authorize, scopes=[Scope.AUDIT_READ])]
KeysAdmin = Annotated[Caller, Security(authorize, scopes=[Scope.KEYS_ADMIN])]


async def request_id(request: Request) -> str:
    """Return the id that the middleware gave to this request."""
    return str(request.state.request_id)


RequestId = Annotated[str, Depends(request_id)]


async def idempotent(
    request: Request,
    response: Response,
    caller: Annotated[Caller, Depends(authenticate)],
    key: IdempotencyKeyHeader = None,
) -> IdempotentRequest:
    """Return the request's idempotency, for a key in the caller's workspace."""
    context = context_of(request)
    return IdempotentRequest(context, request, response, workspace_id=caller.workspace_id, key=key)


IdempotentRequestDep = Annotated[IdempotentRequest, Depends(idempotent)]


async def page_request(
    request: Request,
    response: Response,
    page_size: PageSize = 25,
    cursor: CursorText = None,
) -> ListRequest:
    """Return the requested page. Its cursor is valid only for the same list and filters."""
    codec = context_of(request).cursors
    return ListRequest(page_size, cursor, codec, request.url, response)


PageDep = Annotated[ListRequest, Depends(page_request)]


async def wait_seconds(
    prefer: Annotated[
        str | None,
        Header(
            alias="Prefer",
            max_length=200,
            pattern=r"^[\x20-\x7e]*$",
            description="`wait=N` delays the response for up to N seconds (at most 30) until the "
            "work is finished (RFC 7240).",
            examples=["wait=10"],
        ),
    ] = None,
) -> int:
    """Return the seconds that the client prefers to wait, from 0 (the default) to 30."""
    for preference in (prefer or "").split(","):
        # A preference may have parameters after a semicolon. None is defined for `wait`.
        name, _, value = preference.partition(";")[0].strip().partition("=")
        if name.strip().lower() == "wait" and value.strip().isdigit():
            return min(int(value), MAX_WAIT_SECONDS)
    return 0


async def refuse_null(request: Request) -> None:
    """Refuse the body `null` where the body is optional. Raises `Unprocessable`.

    FastAPI would treat `null` like a missing body.
    """
    if (await request.body()).strip() == b"null":
        raise Unprocessable(
            errors=[
                {"pointer": "/", "code": "model_type", "detail": "Send a JSON object, or no body."}
            ]
        )


OPTIONAL_BODY = Depends(refuse_null)

WaitSeconds = Annotated[int, Depends(wait_seconds)]
