"""After a rotation every token comes under the current key, and none is ever written over."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select, update

from partner_connector.cli import provision
from partner_connector.db.engine import Database
from partner_connector.db.models import Integration, Token
from partner_connector.features.tokens.keys_in_use import tokens_by_key
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.keyring import KeyringFile, rotated
from partner_connector.sealing.on_disk import KeyringOnDisk
from partner_connector.settings import Settings
from partner_connector.worker.maintenance.key_rotation import Resealer
from tests.support.sealed_tokens import opened, store_tokens
from tests.worker.conftest import workshop_open

PARTNERS = 12


async def look(settings: Settings, ring: KeyringFile) -> None:
    """One look of a worker with this keyring."""
    async with workshop_open(settings, ring) as shop:
        await Resealer(shop).look()


async def healths(database: Database) -> dict[UUID, str]:
    """Of every active token."""
    async with database.reading() as session:
        tokens = await session.scalars(select(Token).where(Token.state == "active"))
        return {token.id: token.health for token in tokens}


async def ciphertexts(database: Database) -> dict[UUID, tuple[str, bytes | None]]:
    """Every token as it lies there."""
    async with database.reading() as session:
        tokens = await session.scalars(select(Token))
        return {token.id: (token.key_id, token.sealed) for token in tokens}


async def test_everything_comes_under_the_current_key(
    settings: Settings, ring: KeyringFile, database: Database
) -> None:
    """Active tokens, our own and candidates in their boxes: each opens as what it was."""
    plaintexts = await store_tokens(database, ring, PARTNERS)
    newer = rotated(rotated(ring))
    await look(settings, newer)
    current = newer.current.key_id
    # The two keys before it are needed no more.
    alone = keyring_file.KeyringFile(newer.service_secret, newer.keys[:1])
    expected = {token_id: (current, text) for token_id, text in plaintexts.items()}
    assert await opened(database, alone) == expected
    stored = b"".join(sealed or b"" for _, sealed in (await ciphertexts(database)).values())
    assert not [text for text in plaintexts.values() if text.encode() in stored]
    assert set((await healths(database)).values()) == {"healthy"}
    before = await ciphertexts(database)
    await look(settings, newer)
    assert await ciphertexts(database) == before


async def test_a_running_worker_follows_its_file(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    """A rotation is noticed without a restart."""
    path = tmp_path / "keys" / "keyring.json"
    first = provision.generate_keyring(path)
    plaintexts = await store_tokens(database, first, 3)
    async with workshop_open(settings, KeyringOnDisk(path)) as shop:
        resealer = Resealer(shop)
        await resealer.look()
        assert {key for key, _ in (await opened(database, first)).values()} == {
            first.current.key_id
        }
        newer = provision.rotate_keyring(path)
        await resealer.look()
    assert await opened(database, newer) == {
        token_id: (newer.current.key_id, text) for token_id, text in plaintexts.items()
    }


async def test_workers_share_the_work(
    settings: Settings, ring: KeyringFile, database: Database
) -> None:
    """Three at once: each token is sealed anew, and opens."""
    plaintexts = await store_tokens(database, ring, PARTNERS)
    newer = rotated(ring)
    await asyncio.gather(*(look(settings, newer) for _ in range(3)))
    await look(settings, newer)
    assert {text for _, text in (await opened(database, newer)).values()} == set(
        plaintexts.values()
    )
    async with database.reading() as session:
        assert await tokens_by_key(session) == {newer.current.key_id: len(plaintexts)}


async def test_what_cannot_be_opened_is_not_written_over(
    settings: Settings, ring: KeyringFile, database: Database
) -> None:
    """An altered ciphertext and one that was moved from another row stay as they are, are told as
    unreadable, and keep nothing else from being sealed anew.
    """
    plaintexts = await store_tokens(database, ring, PARTNERS)
    altered, moved, source = [
        token_id for token_id, text in plaintexts.items() if text.startswith("token-")
    ][1:4]
    before = await ciphertexts(database)
    whole = before[altered][1] or b""
    broken = {altered: whole[:-1] + bytes([whole[-1] ^ 1]), moved: before[source][1]}
    async with database.writing() as session:
        for token_id, sealed in broken.items():
            await session.execute(update(Token).where(Token.id == token_id).values(sealed=sealed))
    damaged = await ciphertexts(database)
    newer = rotated(ring)
    await look(settings, newer)
    after = await ciphertexts(database)
    assert {token_id: after[token_id] for token_id in (altered, moved)} == {
        token_id: damaged[token_id] for token_id in (altered, moved)
    }
    told = {
        token_id for token_id, health in (await healths(database)).items() if health != "healthy"
    }
    assert told == {altered, moved}
    others = set(plaintexts) - {altered, moved}
    assert {after[token_id][0] for token_id in others} == {newer.current.key_id}


async def test_a_lost_key_is_told_and_a_found_one_too(
    settings: Settings, ring: KeyringFile, database: Database
) -> None:
    """Without the key: unreadable, our own integration in need of attention, not a byte changed.
    With it again: readable, without anybody's help.
    """
    await store_tokens(database, ring, PARTNERS)
    before = await ciphertexts(database)
    await look(settings, keyring_file.generate(ring))
    assert await ciphertexts(database) == before
    assert set((await healths(database)).values()) == {"unreadable"}
    async with database.reading() as session:
        ours = (await session.scalars(select(Integration))).one()
    assert ours.health == "attention_required"
    assert [reason["code"] for reason in ours.health_reasons] == ["token_unreadable"]
    await look(settings, ring)
    assert set((await healths(database)).values()) == {"unknown"}


async def test_a_worker_with_an_old_keyring_changes_nothing(
    settings: Settings, ring: KeyringFile, database: Database
) -> None:
    """A host that the rotation has not reached yet takes no token back under the old key."""
    plaintexts = await store_tokens(database, ring, PARTNERS)
    newer = rotated(ring)
    await look(settings, newer)
    before = await ciphertexts(database)
    await look(settings, ring)
    assert await ciphertexts(database) == before
    await look(settings, newer)
    assert {text for _, text in (await opened(database, newer)).values()} == set(
        plaintexts.values()
    )


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_token_that_is_being_replaced_is_left_alone(
    settings: Settings, ring: KeyringFile, database: Database
) -> None:
    """Whoever holds a row is not waited for; the next look deals with what they leave."""
    plaintexts = await store_tokens(database, ring, 2)
    newer = rotated(ring)
    held = next(iter(plaintexts))
    async with database.writing() as session:
        await session.get_one(Token, held, with_for_update=True)
        await look(settings, newer)
        keys = {token_id: key for token_id, (key, _) in (await ciphertexts(database)).items()}
    assert keys.pop(held) == ring.current.key_id
    assert set(keys.values()) == {newer.current.key_id}
    await look(settings, newer)
    assert (await ciphertexts(database))[held][0] == newer.current.key_id
