"""`partner-connector keys …`: the keyring, its rotation, and what is sealed under which key."""

import asyncio
from pathlib import Path

from partner_connector.cli import provision
from partner_connector.cli.terminal import answer, duration, tell
from partner_connector.db.engine import open_database
from partner_connector.features.tokens.keys_in_use import tokens_by_key
from partner_connector.features.webhooks.signing_secrets import secrets_by_key
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.keyring import KeyEntry, KeyringError, KeyringFile
from partner_connector.settings import Settings, load_settings

_NOTHING = {"tokens": 0, "webhook_secrets": 0}


def generate(as_json: bool) -> None:
    """Write a new keyring where none is."""
    path = load_settings().private_keyring_file
    ring = provision.generate_keyring(path)
    document = {"keyring_file": str(path), "key_id": ring.current.key_id}
    answer(as_json, document, f"wrote {path}: back it up, without it no stored token opens again")


def list_keys(as_json: bool) -> None:
    """Print the keys by id."""
    listed = [_told(key) for key in _whichever_half(load_settings()).keys]
    answer(as_json, {"keys": listed}, "\n".join(_line(key) for key in listed))


def status(as_json: bool) -> None:
    """Print how much is sealed under each key."""
    settings = load_settings()
    ring = _whichever_half(settings)
    used = _sealed_by_key(settings)
    told = [_told(key) | used.pop(key.key_id, _NOTHING) for key in ring.keys]
    # What is left is sealed under keys that this keyring does not have.
    told += [{"key_id": key_id, "state": "missing", **sealed} for key_id, sealed in used.items()]
    lines = [
        f"{_line(key)}  {key['tokens']} tokens, {key['webhook_secrets']} signing secrets"
        for key in told
    ]
    answer(as_json, {"keys": told}, "\n".join(lines))


def rotate(accept_old_for: str, as_json: bool) -> None:
    """Add a new current key."""
    accepted_for = duration("--accept-old-for", accept_old_for)
    path = load_settings().private_keyring_file
    ring = provision.rotate_keyring(path, accepted_for)
    document = {"keyring_file": str(path), "key_id": ring.current.key_id}
    answer(
        as_json,
        document,
        f"{ring.current.key_id} is current; back {path} up. Processes that read this file, or the "
        "public half beside it, follow by themselves",
    )


def remove(key_id: str, as_json: bool) -> None:
    """Destroy a retired key that nothing is sealed under."""
    settings = load_settings()
    used = _sealed_by_key(settings).get(key_id, _NOTHING)
    if any(used.values()):
        raise KeyringError(
            f"{key_id} is needed: {used['tokens']} tokens and {used['webhook_secrets']} signing "
            "secrets of webhooks are sealed under it. Workers seal them anew; see "
            "`partner-connector keys status`"
        )
    path = settings.private_keyring_file
    provision.remove_key(path, key_id)
    answer(as_json, {"keyring_file": str(path), "key_id": key_id}, f"{key_id} is gone for good")


def write_public_half(out: Path, as_json: bool) -> None:
    """Write the public half of the keyring."""
    ring: KeyringFile = keyring_file.read(load_settings().private_keyring_file)
    provision.export_public(ring, out)
    answer(as_json, {"keyring_file": str(out)}, f"wrote {out}: it opens no token")


def _whichever_half(settings: Settings) -> KeyringFile:
    path = settings.private_keyring_file
    return keyring_file.read(path if path.exists() else settings.public_keyring_file)


def _told(key: KeyEntry) -> dict[str, object]:
    return {
        "key_id": key.key_id,
        "state": key.state,
        "created_at": key.created_at,
        "accepted_until": key.accepted_until,
    }


def _line(key: dict[str, object]) -> str:
    until = key.get("accepted_until")
    accepted = f"  accepted until {until}" if until else ""
    return f"{key['key_id']}  {key['state']:<9} {key.get('created_at', '')}{accepted}"


def _sealed_by_key(settings: Settings) -> dict[str, dict[str, int]]:
    """How much of each kind is sealed under each key, wherever there is anything."""
    provision.prepare_database(settings, tell)

    async def count() -> tuple[dict[str, int], dict[str, int]]:
        database = open_database(settings)
        try:
            async with database.reading() as session:
                return await tokens_by_key(session), await secrets_by_key(session)
        finally:
            await database.close()

    tokens, secrets = asyncio.run(count())
    return {
        key_id: {"tokens": tokens.get(key_id, 0), "webhook_secrets": secrets.get(key_id, 0)}
        for key_id in tokens | secrets
    }
