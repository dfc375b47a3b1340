"""Re-sealing after a rotation: every token moves to the current key, and none is damaged."""

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
from partner_connector.sealing.reloading import ReloadingKeyring
from partner_connector.settings import Settings
from partner_connector.worker.maintenance.key_rotation import Resealer
from tests.support.sealed_tokens import opened, store_tokens
from tests.worker.conftest import open_context

PARTNERS = 12


async def reseal_once(settings: Settings, ring: KeyringFile) -> None:
    """Run the re-sealing once, as a worker with this keyring."""
    async with open_context(settings, ring) as context:
        await Resealer(context).poll()


async def healths(database: Database) -> dict[UUID, str]:
    """Return the health of every active token."""
    async with database.reading() as session:
        tokens = await session.scalars(select(Token).where(Token.state == "active"))
        return {token.id: token.health for token in tokens}


async def ciphertexts(database: Database) -> dict[UUID, tuple[str, bytes | None]]:
    """Return key id and ciphertext of every token as stored."""
    async with database.reading() as session:
        tokens = await session.scalars(select(Token))
        return {token.id: (token.key_id, token.sealed) for token in tokens}


async def test_every_token_moves_to_current_key(
    settings: Settings, ring: KeyringFile, database: Database
) -> None:
    """Re-seal active tokens, the own business's token and sealed boxes of candidates."""
    plaintexts = await store_tokens(database, ring, PARTNERS)
    newer = rotated(rotated(ring))
    await reseal_once(settings, newer)
    current = newer.current.key_id
    # The two previous keys are no longer needed.
    alone = keyring_file.KeyringFile(newer.service_secret, newer.keys[:1])
    expected = {token_id: (current, text) for token_id, text in plaintexts.items()}
    assert await opened(database, alone) == expected
    stored = b"".join(sealed or b"" for _, sealed in (await ciphertexts(database)).values())
    assert not [text for text in plaintexts.values() if text.encode() in stored]
    assert set((await healths(database)).values()) == {"healthy"}
    before = await ciphertexts(database)
    await reseal_once(settings, newer)
    assert await ciphertexts(database) == before


async def test_running_worker_notices_rotation(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "keys" / "keyring.json"
    first = provision.generate_keyring(path)
    plaintexts = await store_tokens(database, first, 3)
    async with open_context(settings, ReloadingKeyring(path)) as context:
        resealer = Resealer(context)
        await resealer.poll()
        assert {key for key, _ in (await opened(database, first)).values()} == {
            first.current.key_id
        }
        newer = provision.rotate_keyring(path)
        await resealer.poll()
    assert await opened(database, newer) == {
        token_id: (newer.current.key_id, text) for token_id, text in plaintexts.items()
    }


async def test_concurrent_workers_reseal_each_token(
    settings: Settings, ring: KeyringFile, database: Database
) -> None:
    """Run three workers at once."""
    plaintexts = await store_tokens(database, ring, PARTNERS)
    newer = rotated(ring)
    await asyncio.gather(*(reseal_once(settings, newer) for _ in range(3)))
    await reseal_once(settings, newer)
    assert {text for _, text in (await opened(database, newer)).values()} == set(
        plaintexts.values()
    )
    async with database.reading() as session:
        assert await tokens_by_key(session) == {newer.current.key_id: len(plaintexts)}


async def test_unreadable_ciphertext_is_not_overwritten(
    settings: Settings, ring: KeyringFile, database: Database
) -> None:
    """Keep an altered ciphertext and one moved from another row, report both as unreadable, and
    re-seal all other tokens.
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
    await reseal_once(settings, newer)
    after = await ciphertexts(database)
    assert {token_id: after[token_id] for token_id in (altered, moved)} == {
        token_id: damaged[token_id] for token_id in (altered, moved)
    }
    unhealthy = {
        token_id for token_id, health in (await healths(database)).items() if health != "healthy"
    }
    assert unhealthy == {altered, moved}
    others = set(plaintexts) - {altered, moved}
    assert {after[token_id][0] for token_id in others} == {newer.current.key_id}


async def test_lost_key_makes_tokens_unreadable_until_restored(
    settings: Settings, ring: KeyringFile, database: Database
) -> None:
    """Report the integration as needing attention, and change no ciphertext.

    The tokens recover by themselves when the key is back.
    """
    await store_tokens(database, ring, PARTNERS)
    before = await ciphertexts(database)
    await reseal_once(settings, keyring_file.generate(ring))
    assert await ciphertexts(database) == before
    assert set((await healths(database)).values()) == {"unreadable"}
    async with database.reading() as session:
        integration = (await session.scalars(select(Integration))).one()
    assert integration.health == "attention_required"
    assert [reason["code"] for reason in integration.health_reasons] == ["token_unreadable"]
    await reseal_once(settings, ring)
    assert set((await healths(database)).values()) == {"unknown"}


async def test_worker_with_old_keyring_changes_nothing(
    settings: Settings, ring: KeyringFile, database: Database
) -> None:
    """Never re-seal under the old key on a host that does not have the new keyring yet."""
    plaintexts = await store_tokens(database, ring, PARTNERS)
    newer = rotated(ring)
    await reseal_once(settings, newer)
    before = await ciphertexts(database)
    await reseal_once(settings, ring)
    assert await ciphertexts(database) == before
    await reseal_once(settings, newer)
    assert {text for _, text in (await opened(database, newer)).values()} == set(
        plaintexts.values()
    )


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_locked_token_is_skipped_until_the_next_run(
    settings: Settings, ring: KeyringFile, database: Database
) -> None:
    plaintexts = await store_tokens(database, ring, 2)
    newer = rotated(ring)
    held = next(iter(plaintexts))
    async with database.writing() as session:
        await session.get_one(Token, held, with_for_update=True)
        await reseal_once(settings, newer)
        keys = {token_id: key for token_id, (key, _) in (await ciphertexts(database)).items()}
    assert keys.pop(held) == ring.current.key_id
    assert set(keys.values()) == {newer.current.key_id}
    await reseal_once(settings, newer)
    assert (await ciphertexts(database))[held][0] == newer.current.key_id
