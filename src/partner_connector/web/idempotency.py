"""`Idempotency-Key`: a repeated request has its effect once and gets the same response.

The transaction of the effect first writes the row of the key. A second request with the same key
waits for that transaction, and then finds the stored response. If the first request failed, the
second one finds no row. So a failure is never stored, and every effect has a stored response.
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
# A response to a waiting client is stored a moment after the client's seconds are over.
_IN_FLIGHT_MARGIN = timedelta(seconds=5)
_QUOTED = re.compile(r'"(.*)"')
_ESCAPE = re.compile(r'\\(["\\])')

IdempotencyKeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=130,
        pattern=r'^("([\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,64}"'
        r"|[\x21\x23-\x7e]([\x20-\x7e]{0,62}[\x21-\x7e])?)$",
        description="A key that you choose, which makes a retry safe: 1 to 64 printable "
        "characters, best a UUID, with or without quotes. For 24 hours, the same request with "
        "the same key returns the first response with `Idempotent-Replayed: true` and has no "
        "further effect.",
        examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
    ),
]


class IdempotencyKeyReused(Unprocessable):
    """The same `Idempotency-Key` came within 24 hours with another path, query or body."""

    code = "idempotency_key_reused"
    title = "The key was used for another request"
    description = (
        "Send a new `Idempotency-Key` for a new request. To repeat the first request, send its "
        "path, query and body unchanged."
    )


class IdempotencyInFlight(Conflict):
    """An earlier request with the same `Idempotency-Key` is still waiting for its result."""

    code = "idempotency_in_flight"
    title = "The first request with this key is not finished"
    description = (
        "Wait for the seconds in `Retry-After` and send the same request again, with the same key."
    )


class IdempotentRequest:
    """Request whose effect happens once per key. Without a key, every request has its effect."""

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
        """Open the transaction of the effect, in which the caller must call `store_response`.

        Raises `EarlyAnswer` with the stored response, `IdempotencyKeyReused` and
        `IdempotencyInFlight`.
        """
        async with self._database.writing() as session:
            if self._key is None:
                yield session
                return
            await self._claim(session, self._key)
            yield session
            await self._store(session)

    def store_response(self, view: View, *, held_for: int = 0) -> View:
        """Store the response, with its current headers, in the transaction of the effect.

        `held_for`: the seconds that the client waits for a final response; see `replace_response`.
        """
        if self._key is not None:
            self._answer = self._encrypt(view.model_dump_json(by_alias=True))
            in_flight = timedelta(seconds=held_for) + _IN_FLIGHT_MARGIN
            self._in_flight_until = now() + in_flight if held_for else None
        return view

    async def replace_response(self, view: View) -> View:
        """Replace the stored response by the final one, if the client waited for it.

        If the process stops before, a retry gets the response that was stored first.
        """
        if self._in_flight_until is not None:
            self.store_response(view)
            async with self._database.writing() as session:
                await self._store(session)
        return view

    async def _claim(self, session: AsyncSession, key: str) -> None:
        """Write the row of the key, or overwrite an expired row. Otherwise raise like `writing`."""
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
            await self._answer_repeated(session, key, fingerprint)

    async def _answer_repeated(self, session: AsyncSession, key: str, fingerprint: str) -> None:
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
        raise self._decrypt(first.answer)

    async def _store(self, session: AsyncSession) -> None:
        assert self._answer is not None, "an operation must store its response"
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

    def _encrypt(self, body: str) -> bytes:
        status = self._response.status_code or self._status
        answer = json.dumps([status, body, dict(self._response.headers)])
        return bytes(self._box().encrypt(answer.encode(), self._binding()))

    def _decrypt(self, answer: bytes) -> EarlyAnswer:
        status, body, headers = json.loads(self._box().decrypt(answer, self._binding()))
        added = {"Content-Type": "application/json", "Idempotent-Replayed": "true"}
        return EarlyAnswer(status, body.encode(), headers | added)

    def _box(self) -> Aead:
        return Aead(self._derive(b"pc-once-answers"))

    def _binding(self) -> bytes:
        """Return the associated data of a stored response, so that it opens in its own row only."""
        return f"{self._workspace_id.hex}|{self._operation}|{self._key}".encode()


def _unquoted(key: str) -> str:
    """Return the key without quotes: a quoted key (a structured field) equals the bare key."""
    quoted = _QUOTED.fullmatch(key)
    return key if quoted is None else _ESCAPE.sub(r"\1", quoted[1])


def _canonical(body: bytes) -> str:
    """Return equal texts for equal JSON values; for any other body, its bytes in hex."""
    try:
        return json.dumps(json.loads(body), sort_keys=True)
    except (ValueError, RecursionError):
        return body.hex()
