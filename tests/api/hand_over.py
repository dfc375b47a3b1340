"""A token request from both its sides, and the verdict that the worker would write."""

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
from partner_connector.worker.validation.outcome import conclude
from partner_connector.worker.validation.verdicts import Check
from tests.api.surface import TOKEN
from tests.api.world import World

_CURRENT = "/v1/token-requests/current"


@dataclass(frozen=True, slots=True)
class Link:
    """A link that was just made: what its maker and what its holder can do with it."""

    api: httpx.AsyncClient
    database: Database
    made: Mapping[str, Any]

    @property
    def code(self) -> str:
        """What stands behind the `#`."""
        return str(self.made["code"])

    @property
    def id(self) -> UUID:
        """The id of its row."""
        return decode("trq", self.made["id"])

    async def told(self) -> dict[str, Any]:
        """How its maker sees it."""
        answer = await self.api.get(f"/v1/token-requests/{self.made['id']}")
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    async def revoke(self) -> httpx.Response:
        """Its maker withdraws it."""
        return await self.api.delete(f"/v1/token-requests/{self.made['id']}")

    async def get(self) -> httpx.Response:
        """The holder looks at it."""
        return await self._with_code("GET", "")

    async def open(self) -> httpx.Response:
        """A person is there."""
        return await self._with_code("POST", "/open")

    async def hand_over(self, **body: str) -> httpx.Response:
        """The holder hands a token over, a good looking one unless told otherwise."""
        return await self._with_code("PUT", "/token", json=body or {"access_token": TOKEN})

    async def token(self) -> Token:
        """The row of the token that was handed over last."""
        query = (
            select(Token)
            .join(TokenValidation, TokenValidation.token_id == Token.id)
            .join(TokenRequest, TokenRequest.validation_id == TokenValidation.id)
            .where(TokenRequest.id == self.id)
        )
        async with self.database.reading() as session:
            return (await session.scalars(query)).one()

    async def expire(self, *, after: timedelta = timedelta(0)) -> None:
        """Its time is over, or will be."""
        async with self.database.writing() as session:
            row = await session.get_one(TokenRequest, self.id)
            row.expires_at = now() + after

    async def _with_code(self, method: str, path: str, **parts: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.code}"}
        return await self.api.request(method, _CURRENT + path, headers=headers, **parts)


async def make_link(api: httpx.AsyncClient, database: Database, world: World) -> Link:
    """A link for the world's partner."""
    body = {"expires_in_seconds": 3600, "note": "Their third link"}
    answer = await api.post(f"/v1/partners/{world.ids['ptn']}/token-requests", json=body)
    assert answer.status_code == 201, answer.text
    return Link(api, database, answer.json())


@dataclass(frozen=True, slots=True)
class Judge:
    """Writes a verdict as the worker does, with two checks in place of sixteen."""

    database: Database
    queue: WorkQueue
    keyring: PrivateKeyring
    audit_key: bytes

    async def __call__(
        self, proof_id: str, status: str, code: str = "told", detail: str = "Seen."
    ) -> None:
        """The check with this status, and what follows from it."""
        async with self.database.writing() as session:
            validation = await session.get_one(TokenValidation, decode("val", proof_id))
            audit = Recorder(validation.workspace_id, "worker", proof_id, self.audit_key)
            await conclude(
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
