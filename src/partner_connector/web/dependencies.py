"""What an operation can ask for in its signature."""

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
from partner_connector.credentials import NOBODYS_DIGEST, Caller, Scope
from partner_connector.db.models import ApiKey
from partner_connector.db.reads import Query
from partner_connector.errors import NotAuthenticated, ScopeMissing, Unprocessable
from partner_connector.web.context import ApiContext
from partner_connector.web.idempotency import GivenKey, Once
from partner_connector.web.pagination import CursorText, ListRequest, PageSize

MAX_WAIT_SECONDS = 30

_KEYS = ApiKey.__table__.c
_TOLD = (_KEYS.id, _KEYS.workspace_id, _KEYS.scopes, _KEYS.expires_at, _KEYS.revoked_at)
# Whether or not there is such a key, one row is found, so that the time of a refusal does not tell.
# All but the digest as the driver has it: it is made out once the secret is known to be right.
_KEY: Query = (
    union_all(
        select(
            literal(0).label("rank"),
            _KEYS.digest.label("digest"),
            *(type_coerce(each, NullType()).label(each.name) for each in _TOLD),
        ).where(_KEYS.key_id == bindparam("key_id")),
        select(literal(1), literal(NOBODYS_DIGEST), *(null() for _ in _TOLD)),
    )
    .order_by("rank")
    .limit(1)
)

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="apiKey",
    bearerFormat="pck_…",
    description="An API key of this workspace. The workspace comes from the key, never from "
    "the request.",
)


def context_of(request: Request) -> ApiContext:
    """The parts that were built when the process started.

    For dependencies, which FastAPI resolves anew wherever one is named. And they are `async` all of
    them: for any other it would take a thread.
    """
    context = request.app.state.context
    assert isinstance(context, ApiContext)
    return context


async def api_context(request: Request) -> ApiContext:
    """The same for operations."""
    return context_of(request)


ContextDep = Annotated[ApiContext, Depends(api_context)]


async def writing_session(request: Request) -> AsyncIterator[AsyncSession]:
    """One transaction for the request. It commits before the answer leaves."""
    async with context_of(request).database.writing() as session:
        yield session


async def reading_session(request: Request) -> AsyncIterator[AsyncSession]:
    """What the request reads, statement by statement."""
    async with context_of(request).database.looking() as session:
        yield session


# Function scope: with the default the commit would come after the client has its answer.
WriteSession = Annotated[AsyncSession, Depends(writing_session, scope="function")]
ReadSession = Annotated[AsyncSession, Depends(reading_session, scope="function")]


async def authenticate(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Caller:
    """Who is asking. Raises `NotAuthenticated`, alike for every way a key can be wrong."""
    context = context_of(request)
    key = credentials.credentials if credentials else ""
    caller = await _caller_of(key, context)
    structlog.contextvars.bind_contextvars(
        workspace_id=str(caller.workspace_id), api_key_id=str(caller.api_key_id)
    )
    # Kept beside the request: the middleware tells it in failures too.
    request.state.allowance = await context.rate_limiter.spend(str(caller.api_key_id))
    return caller


async def _caller_of(key: str, context: ApiContext) -> Caller:
    key_id = credentials.key_id_of(key)
    if key_id is None:
        raise NotAuthenticated
    _, stored, *told = await context.database.look_up(_KEY, key_id=key_id)
    if not credentials.matches(key, stored, context.api_key_pepper):
        raise NotAuthenticated
    pairs = zip(_TOLD, told, strict=True)
    key_uuid, workspace_id, scopes, expires_at, revoked_at = (
        context.database.typed(*pair) for pair in pairs
    )
    if revoked_at is not None or (expires_at is not None and expires_at <= now()):
        raise NotAuthenticated
    context.key_usage.note(key_uuid)
    return Caller(workspace_id, key_uuid, frozenset(scopes), expires_at)


async def authorize(
    needed: SecurityScopes, caller: Annotated[Caller, Depends(authenticate)]
) -> Caller:
    """The caller, if its key has the scopes of the operation. Raises `ScopeMissing`."""
    if not caller.scopes.issuperset(needed.scopes):
        raise ScopeMissing(f"This operation needs the scope `{' '.join(needed.scopes)}`.")
    return caller


# Every operation under /v1 names one of these, and OpenAPI shows which; a test holds that.
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
    """The id that the middleware gave this request."""
    return str(request.state.request_id)


RequestId = Annotated[str, Depends(request_id)]


async def once(
    request: Request,
    response: Response,
    caller: Annotated[Caller, Depends(authenticate)],
    key: GivenKey = None,
) -> Once:
    """The effect of this request, which a key of the caller's workspace makes happen once."""
    context = context_of(request)
    return Once(context, request, response, workspace_id=caller.workspace_id, key=key)


OnceDep = Annotated[Once, Depends(once)]


async def page_request(
    request: Request,
    response: Response,
    page_size: PageSize = 25,
    cursor: CursorText = None,
) -> ListRequest:
    """The page that was asked for, bound to every other parameter of the request."""
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
            description="`wait=N` holds the answer for up to N seconds (at most 30) until the "
            "work is done (RFC 7240).",
            examples=["wait=10"],
        ),
    ] = None,
) -> int:
    """Seconds that the client prefers to wait; 0 when it did not say."""
    for preference in (prefer or "").split(","):
        # A preference may have parameters behind a semicolon; we know none.
        name, _, value = preference.partition(";")[0].strip().partition("=")
        if name.strip().lower() == "wait" and value.strip().isdigit():
            return min(int(value), MAX_WAIT_SECONDS)
    return 0


async def refuse_null(request: Request) -> None:
    """A body that can be left out is an object where it is there; `null` would be left out."""
    if (await request.body()).strip() == b"null":
        raise Unprocessable(
            errors=[{"pointer": "/", "code": "model_type", "detail": "Send an object, or nothing."}]
        )


MAY_BE_LEFT_OUT = Depends(refuse_null)

WaitSeconds = Annotated[int, Depends(wait_seconds)]
