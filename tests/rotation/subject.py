"""Stored tokens with known plaintexts, which are compared without the product."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr
from sqlalchemy import select, update

from partner_connector.cli import provision
from partner_connector.db.engine import Database, open_database
from partner_connector.db.models import Token
from partner_connector.sealing.keyring import KeyringFile
from partner_connector.settings import without_environment
from tests.support.sealed_tokens import opened, store_tokens

Found = TypeVar("Found")
Ciphertexts = dict[uuid.UUID, tuple[str, bytes | None]]


class Subject:
    """Database with tokens, and the keyring that seals them."""

    def __init__(self, directory: Path, database_url: str, partners: int) -> None:
        self.directory = directory
        self.database_url = database_url
        self.keyring = directory / "keyring.json"
        self.ring = provision.generate_keyring(self.keyring)
        self.plaintexts = self._ask(lambda database: store_tokens(database, self.ring, partners))
        self.spoiled = self._ask(self._spoil)

    @property
    def settings(self) -> dict[str, str]:
        """Settings of a worker, which makes no calls to Meta."""
        return {
            "DATABASE_URL": self.database_url,
            "DATA_DIR": str(self.directory),
            "KEYRING_FILE": str(self.keyring),
            "GRAPH_BASE_URL": "http://127.0.0.1:9",
        }

    def rotate(self) -> None:
        """Add a new current key."""
        self.ring = provision.rotate_keyring(self.keyring)

    def left_to_do(self) -> int:
        """Count the readable tokens that are not sealed with the current key."""
        keys = Counter(key for key, _ in self._opened(self.ring).values())
        return keys.total() - keys[self.ring.current.key_id]

    def wrong(self, ring: KeyringFile | None = None) -> list[str]:
        """Return tokens that open to another text, and unreadable ones that were overwritten."""
        found = {token_id: text for token_id, (_, text) in self._opened(ring or self.ring).items()}
        ciphertexts = self._ask(_ciphertexts)
        wrong = [f"not what it was: {i}" for i, text in self.whole.items() if found.get(i) != text]
        overwritten = [i for i, was in self.spoiled.items() if ciphertexts[i] != was]
        return wrong + [f"written over: {token_id}" for token_id in overwritten]

    @property
    def whole(self) -> dict[uuid.UUID, str]:
        """Plaintexts of the tokens that can be opened."""
        return {i: text for i, text in self.plaintexts.items() if i not in self.spoiled}

    def _opened(self, ring: KeyringFile) -> dict[uuid.UUID, tuple[str, str]]:
        return self._ask(lambda database: opened(database, ring, but=self.spoiled))

    async def _spoil(self, database: Database) -> Ciphertexts:
        """Make two tokens unreadable: alter one, and lose the key of the other."""
        altered, lost = list(self.plaintexts)[:2]
        async with database.writing() as session:
            await session.execute(update(Token).where(Token.id == altered).values(sealed=b"x" * 80))
            await session.execute(
                update(Token).where(Token.id == lost).values(key_id="sk_0000000000000000")
            )
        everything = await _ciphertexts(database)
        return {token_id: everything[token_id] for token_id in (altered, lost)}

    def _ask(self, question: Callable[[Database], Awaitable[Found]]) -> Found:
        async def answer() -> Found:
            settings = without_environment(database_url=SecretStr(self.database_url))
            database = open_database(settings)
            try:
                return await question(database)
            finally:
                await database.close()

        return asyncio.run(answer())


async def _ciphertexts(database: Database) -> Ciphertexts:
    async with database.reading() as session:
        tokens = await session.scalars(select(Token))
        return {token.id: (token.key_id, token.sealed) for token in tokens}
