"""Applications that the product's reads are compared with.

`raw` is the minimum: it sends the product's SQL and parameters through the bare driver and answers
the same items, without FastAPI, key, scope, filters, sealed cursor, security headers or log line.
`tutorial` is the endpoint as the tutorials of FastAPI and SQLAlchemy write it. `hello` is FastAPI's
first example.
"""

import asyncio
import sqlite3
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Annotated, Any

import psycopg
from fastapi import Depends, FastAPI, Header, HTTPException, Query
from pydantic_core import to_json
from sqlalchemy import exists, select, tuple_
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from partner_connector.db.engine import async_url
from partner_connector.db.models import ApiKey, PartnerUser, Token
from partner_connector.features.partner_users.schemas import PartnerUserPage, PartnerUserView
from partner_connector.ids import PartnerId, encode
from partner_connector.web.schemas import rfc3339

CONNECTIONS = 8
_FIRST = uuid.UUID(int=0)
Fetch = Callable[[], Awaitable[Sequence[Any]]]


def hello() -> FastAPI:
    """Create FastAPI's first example."""
    app = FastAPI()

    @app.get("/")
    async def read_root() -> dict[str, str]:
        return {"Hello": "World"}

    return app


def raw(database_url: str, statement: str, parameters: Any) -> Starlette:
    """Create an app that converts rows of the driver to the JSON of one page."""
    url = make_url(database_url)
    is_sqlite = url.get_backend_name() == "sqlite"
    fetch = (_of_sqlite if is_sqlite else _of_postgresql)(url, statement, parameters)
    item = _item_of_sqlite if is_sqlite else _item_of_postgresql

    async def page(request: Request) -> Response:
        size = int(request.query_params["page_size"])
        rows = await fetch()
        after = f"{rows[size - 1][-2]}.{rows[size - 1][-1]}" if len(rows) > size else None
        answer = {"next_cursor": after, "items": [item(row) for row in rows[:size]]}
        return Response(to_json(answer), media_type="application/json")

    return Starlette(routes=[Route("/v1/partner-users", page)])


_NAMES = tuple(PartnerUserView.model_fields)
_FLAG = _NAMES.index("is_token_holder")
_parent = lru_cache(encode)


def _item_of_sqlite(row: Sequence[Any]) -> dict[str, Any]:
    values = list(row[: len(_NAMES)])
    values[0] = encode("usr", int(values[0], 16))
    values[1] = _parent("int", int(values[1], 16))
    values[2] = _parent("ptn", int(values[2], 16))
    values[_FLAG] = values[_FLAG] == 1
    for place in (-5, -4, -3):
        text = values[place]
        values[place] = None if text is None else f"{text[:10]}T{text[11:23]}Z"
    values[-2:] = None, None
    return dict(zip(_NAMES, values, strict=True))


def _item_of_postgresql(row: Sequence[Any]) -> dict[str, Any]:
    values = list(row[: len(_NAMES)])
    values[0] = encode("usr", values[0].int)
    values[1] = _parent("int", values[1].int)
    values[2] = _parent("ptn", values[2].int)
    for place in (-5, -4, -3):
        at = values[place]
        values[place] = None if at is None else rfc3339(at)
    values[-2:] = None, None
    return dict(zip(_NAMES, values, strict=True))


def _of_sqlite(url: URL, statement: str, parameters: Any) -> Fetch:
    # One thread is the fastest: more threads only wait for the interpreter lock.
    threads = ThreadPoolExecutor(1)
    own = threading.local()

    def fetch() -> list[Any]:
        if not hasattr(own, "connection"):
            own.connection = sqlite3.connect(url.database or "")
            own.connection.execute("PRAGMA cache_size = -8000")
        found: list[Any] = own.connection.execute(statement, parameters).fetchall()
        return found

    async def fetched() -> list[Any]:
        return await asyncio.get_running_loop().run_in_executor(threads, fetch)

    return fetched


def _of_postgresql(url: URL, statement: str, parameters: Any) -> Fetch:
    where = url.set(drivername="postgresql").render_as_string(hide_password=False)
    free: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()
    made = 0

    async def fetched() -> list[Any]:
        nonlocal made
        if free.empty() and made < CONNECTIONS:
            made += 1
            free.put_nowait(await psycopg.AsyncConnection.connect(where, autocommit=True))
        connection = await free.get()
        try:
            return await (await connection.execute(statement.encode(), parameters)).fetchall()
        finally:
            free.put_nowait(connection)

    return fetched


def tutorial(database_url: str) -> FastAPI:
    """Create the usual app: ORM entities, `response_model`, and a dependency for the key."""
    app = FastAPI()
    new_session = async_sessionmaker(create_async_engine(async_url(make_url(database_url))))

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with new_session() as session:
            yield session

    Session = Annotated[AsyncSession, Depends(get_session)]  # noqa: N806 - as the tutorial has it

    async def get_key(session: Session, authorization: Annotated[str, Header()]) -> ApiKey:
        key_id = authorization.split("_")[1]
        key = await session.scalar(select(ApiKey).where(ApiKey.key_id == key_id))
        if key is None:
            raise HTTPException(401)
        return key

    @app.get("/v1/partner-users", response_model=PartnerUserPage)
    async def list_partner_users(
        session: Session,
        key: Annotated[ApiKey, Depends(get_key)],
        partner_id: PartnerId,
        state: Annotated[list[str], Query()],
        kind: Annotated[list[str], Query()],
        page_size: int = 25,
        after_name: str = "",
        after_id: uuid.UUID = _FIRST,
    ) -> Any:
        query = (
            select(PartnerUser)
            .where(PartnerUser.workspace_id == key.workspace_id)
            .where(PartnerUser.partner_id == partner_id)
            .where(PartnerUser.state.in_(state), PartnerUser.kind.in_(kind))
            .where(tuple_(PartnerUser.name, PartnerUser.id) > (after_name, after_id))
            .order_by(PartnerUser.name, PartnerUser.id)
            .limit(page_size)
        )
        users = list(await session.scalars(query))
        holders = set(
            await session.scalars(
                select(PartnerUser.id).where(
                    PartnerUser.id.in_([user.id for user in users]),
                    exists().where(
                        Token.partner_id == PartnerUser.partner_id,
                        Token.state == "active",
                        Token.system_user_id == PartnerUser.meta_user_id,
                    ),
                )
            )
        )
        stored = set(PartnerUserView.model_fields) - {"is_token_holder", "grants", "history"}
        return {
            "items": [
                PartnerUserView(
                    **{name: getattr(user, name) for name in stored},
                    is_token_holder=user.id in holders,
                    grants=None,
                    history=None,
                )
                for user in users
            ],
            "next_cursor": None,
        }

    return app
