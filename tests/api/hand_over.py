"""A token request as its creator and its holder use it, and the worker's verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from partner_connector.clock import now
from partner_connector.db.engine import Database
from partner_connector.db.models import Token, TokenRequest, TokenValidation
from partner_connector.durable.engine import WorkQueue
from partner_connector.features.audit.service import Recorder
from partner_connector.ids import decode
from partner_connector.sealing.private import PrivateKeyring
from partner_connector.worker.validation.outcome import store_verdict
from partner_connector.worker.validation.verdicts import Check
from tests.api.surface import TOKEN
from tests.api.world import World

_CURRENT = "/v1/token-requests/current"


@dataclass(frozen=True, slots=True)
class Link:
    """A new token request, with the calls of the caller who created it and of its holder."""

    api: httpx.AsyncClient
    database: Database
    created: Mapping[str, Any]

    @property
    def code(self) -> str:
        """The code, which is the fragment of the link's URL."""
        return str(self.created["code"])

    @property
    def id(self) -> UUID:
        """The id of the token request's row."""
        return decode("trq", self.created["id"])

    async def read(self) -> dict[str, Any]:
        """Return the token request as its creator reads it."""
        answer = await self.api.get(f"/v1/token-requests/{self.created['id']}")
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    async def revoke(self) -> httpx.Response:
        """Revoke the token request as its creator."""
        return await self.api.delete(f"/v1/token-requests/{self.created['id']}")

    async def get(self) -> httpx.Response:
        """Read the token request as its holder, with the code."""
        return await self._with_code("GET", "")

    async def open(self) -> httpx.Response:
        """Record that the holder opened the link."""
        return await self._with_code("POST", "/open")

    async def hand_over(self, **body: str) -> httpx.Response:
        """Hand a token over as the holder; a well-formed token unless `body` is given."""
        return await self._with_code("PUT", "/token", json=body or {"access_token": TOKEN})

    async def token(self) -> Token:
        """Return the row of the token that was handed over last."""
        query = (
            select(Token)
            .join(TokenValidation, TokenValidation.token_id == Token.id)
            .join(TokenRequest, TokenRequest.validation_id == TokenValidation.id)
            .where(TokenRequest.id == self.id)
        )
        async with self.database.reading() as session:
            return (await session.scalars(query)).one()

    async def expire(self, *, after: timedelta = timedelta(0)) -> None:
        """Set `expires_at` to now plus `after`."""
        async with self.database.writing() as session:
            row = await session.get_one(TokenRequest, self.id)
            row.expires_at = now() + after

    async def _with_code(self, method: str, path: str, **parts: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.code}"}
        return await self.api.request(method, _CURRENT + path, headers=headers, **parts)


async def make_link(api: httpx.AsyncClient, database: Database, world: World) -> Link:
    """Create a token request for the world's partner."""
    body = {"expires_in_seconds": 3600, "note": "Their third link"}
    answer = await api.post(f"/v1/partners/{world.ids['ptn']}/token-requests", json=body)
    assert answer.status_code == 201, answer.text
    return Link(api, database, answer.json())


@dataclass(frozen=True, slots=True)
class VerdictWriter:
    """Callable that stores a verdict as the worker does, with two checks instead of sixteen."""

    database: Database
    queue: WorkQueue
    keyring: PrivateKeyring
    audit_key: bytes

    async def __call__(
        self, validation_id: str, status: str, code: str = "live_check", detail: str = "Seen."
    ) -> None:
        """Store a verdict whose check `live` has this status, and apply its effects."""
        async with self.database.writing() as session:
            validation = await session.get_one(TokenValidation, decode("val", validation_id))
            audit = Recorder(validation.workspace_id, "worker", validation_id, self.audit_key)
            await store_verdict(
                session,
                self.queue,
                self.keyring,
                audit,
                validation=validation,
                token=await session.get_one(Token, validation.token_id),
                checks=[
                    Check("format", "pass", "ok", "Seen."),
                    Check("live", status, code, detail, "Do it again."),
                ],
                evidence=None,
                plaintext=TOKEN,
                fingerprint="f" * 32,
            )
