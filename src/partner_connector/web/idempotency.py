"""`Idempotency-Key`: a request that is sent again has its effect once, and is answered alike.

The key's row is the first thing that the effect's own transaction writes: whoever sends the same
key meanwhile waits for that transaction, and then finds either the answer or, after a failure,
nothing. So a failure is never kept, and no effect is without its answer.
"""

import hashlib
import hmac
import json
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Annotated, TypeVar

from fastapi import Header, Request, Response
from nacl.secret import Aead
from pydantic import BaseModel
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.clock import now
from partner_connector.db.models import IdempotencyKey
from partner_connector.db.sql import upsert
from partner_connector.errors import Conflict, Unprocessable
from partner_connector.web.context import ApiContext
from partner_connector.web.early_answers import EarlyAnswer

View = TypeVar("View", bound=BaseModel)

LIFETIME = timedelta(hours=24)
# An answer that is held is written down a moment after its seconds are over.
_HELD_AT_MOST_LONGER = timedelta(seconds=5)
_QUOTED = re.compile(r'"(.*)"')
_ESCAPE = re.compile(r'\\(["\\])')

GivenKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=130,
        pattern=r'^("([\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,64}"'
        r"|[\x21\x23-\x7e]([\x20-\x7e]{0,62}[\x21-\x7e])?)$",
        description="Of your choice, 1 to 64 printable characters, best a UUID; as it is or in "
        "quotes. For 24 hours the same request with the same key is answered as the first time, "
        "with `Idempotent-Replayed: true`, and has no further effect.",
        examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
    ),
]


class IdempotencyKeyReused(Unprocessable):
    """A key stands for one request."""

    code = "idempotency_key_reused"
    title = "The key was used for another request"
    description = (
        "This `Idempotency-Key` came with another path, query or body within the last 24 hours. "
        "Send a new key for a new request."
    )


class IdempotencyInFlight(Conflict):
    """The first one is still being answered."""

    code = "idempotency_in_flight"
    title = "The first request with this key is not answered yet"
    description = "Wait for as long as `Retry-After` says and send the same request again."


class Once:
    """One request, and what makes its effect happen once. Without a key it is done as it comes."""

    def __init__(
        self,
        context: ApiContext,
        request: Request,
        response: Response,
        *,
        workspace_id: uuid.UUID,
        key: str | None,
        of: str = "",
    ) -> None:
        route = request.scope["route"]
        self._database = context.database
        self._derive = context.keyring.derive
        self._request = request
        self._response = response
        self._status: int = route.status_code or 200
        self._workspace_id = workspace_id
        self._operation = f"{route.operation_id} {of}".strip()
        self._key = None if key is None else self._hash(_unquoted(key))
        self._row_id: uuid.UUID | None = None
        self._answer: bytes | None = None
        self._in_flight_until: datetime | None = None

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """The transaction of the effect; `remember` is called in it.

        Raises `EarlyAnswer` with what was answered before, `IdempotencyKeyReused` and
        `IdempotencyInFlight`.
        """
        async with self._database.writing() as session:
            if self._key is None:
                yield session
                return
            await self._claim(session, self._key)
            yield session
            await self._store(session)

    def remember(self, view: View, *, held_for: int = 0) -> View:
        """Keep the answer together with the effect, as the response stands now.

        `held_for` the seconds that the client prefers to wait for another one: see `conclude`.
        """
        if self._key is not None:
            self._answer = self._sealed(view.model_dump_json(by_alias=True))
            still = timedelta(seconds=held_for) + _HELD_AT_MOST_LONGER
            self._in_flight_until = now() + still if held_for else None
        return view

    async def conclude(self, view: View) -> View:
        """Keep the answer that the client has waited for in place of the one that was remembered.

        Where the process ends before, that one is answered again. Nothing is kept where the client
        did not wait.
        """
        if self._in_flight_until is not None:
            self.remember(view)
            async with self._database.writing() as session:
                await self._store(session)
        return view

    async def _claim(self, session: AsyncSession, key: str) -> None:
        """Write the row, over one whose time is up; or end with what is known of the key."""
        fingerprint = await self._fingerprint()
        row = upsert(session, IdempotencyKey).values(
            workspace_id=self._workspace_id,
            operation=self._operation,
            key=key,
            fingerprint=fingerprint,
            expires_at=now() + LIFETIME,
        )
        names = ("id", "created_at", "fingerprint", "answer", "in_flight_until", "expires_at")
        claimed = row.on_conflict_do_update(
            index_elements=["workspace_id", "operation", "key"],
            set_={name: row.excluded[name] for name in names},
            where=IdempotencyKey.expires_at <= now(),
        ).returning(IdempotencyKey.id)
        self._row_id = await session.scalar(claimed)
        if self._row_id is None:
            await self._meet(session, key, fingerprint)

    async def _meet(self, session: AsyncSession, key: str, fingerprint: str) -> None:
        query = select(IdempotencyKey).where(
            IdempotencyKey.workspace_id == self._workspace_id,
            IdempotencyKey.operation == self._operation,
            IdempotencyKey.key == key,
        )
        first = (await session.scalars(query)).one()
        if not hmac.compare_digest(first.fingerprint, fingerprint):
            raise IdempotencyKeyReused
        if first.in_flight_until is not None and first.in_flight_until > now():
            raise IdempotencyInFlight(retry_after=1)
        assert first.answer is not None
        raise self._opened(first.answer)

    async def _store(self, session: AsyncSession) -> None:
        assert self._answer is not None, "an operation has to remember what it answers"
        await session.execute(
            update(IdempotencyKey)
            .where(IdempotencyKey.id == self._row_id)
            .values(answer=self._answer, in_flight_until=self._in_flight_until)
        )

    async def _fingerprint(self) -> str:
        url = self._request.url
        body = _canonical(await self._request.body())
        return self._hash(json.dumps([self._request.method, url.path, url.query, body]))

    def _hash(self, text: str) -> str:
        key = self._derive(b"pc-once-hashes")
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def _sealed(self, body: str) -> bytes:
        status = self._response.status_code or self._status
        answer = json.dumps([status, body, dict(self._response.headers)])
        return bytes(self._box().encrypt(answer.encode(), self._binding()))

    def _opened(self, answer: bytes) -> EarlyAnswer:
        status, body, headers = json.loads(self._box().decrypt(answer, self._binding()))
        told = {"Content-Type": "application/json", "Idempotent-Replayed": "true"}
        return EarlyAnswer(status, body.encode(), headers | told)

    def _box(self) -> Aead:
        return Aead(self._derive(b"pc-once-answers"))

    def _binding(self) -> bytes:
        """What an answer belongs to: in another row it does not open."""
        return f"{self._workspace_id.hex}|{self._operation}|{self._key}".encode()


def _unquoted(key: str) -> str:
    """The key itself: a structured field's string is the same as the bare one."""
    quoted = _QUOTED.fullmatch(key)
    return key if quoted is None else _ESCAPE.sub(r"\1", quoted[1])


def _canonical(body: bytes) -> str:
    """The same text for the same JSON; what is none stands for itself."""
    try:
        return json.dumps(json.loads(body), sort_keys=True)
    except (ValueError, RecursionError):
        return body.hex()
