"""`partner-connector keys …`: the keyring, its rotation, and what is sealed under which key.

A command imports what it needs when it runs.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from partner_connector.cli.terminal import AsJson, answer, duration
from partner_connector.errors import OperatorError

if TYPE_CHECKING:
    from partner_connector.settings import Settings

_NOTHING = {"tokens": 0, "webhook_secrets": 0}

cli = typer.Typer(help="The keyring that seals tokens.", no_args_is_help=True)


@cli.command()
def generate(as_json: AsJson = False) -> None:
    """Make a new keyring; never replaces one."""
    from partner_connector.cli import provision
    from partner_connector.settings import load_settings

    path = load_settings().private_keyring_file
    ring = provision.generate_keyring(path)
    document = {"keyring_file": str(path), "key_id": ring.current.key_id}
    answer(as_json, document, f"wrote {path}: back it up, without it no stored token opens again")


@cli.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """Show the keys by id; never a key itself."""
    from partner_connector.settings import load_settings

    listed = _keys(load_settings())
    answer(as_json, {"keys": listed}, "\n".join(_line(key) for key in listed))


@cli.command()
def status(as_json: AsJson = False) -> None:
    """Show how much is sealed under each key; after a rotation, how far it has come."""
    from partner_connector.settings import load_settings

    settings = load_settings()
    keys = _keys(settings)
    used = _sealed_by_key(settings)
    told = [key | used.pop(str(key["key_id"]), _NOTHING) for key in keys]
    # What is left is sealed under keys that this keyring does not have.
    told += [{"key_id": key_id, "state": "missing", **sealed} for key_id, sealed in used.items()]
    lines = [
        f"{_line(key)}  {key['tokens']} tokens, {key['webhook_secrets']} signing secrets"
        for key in told
    ]
    answer(as_json, {"keys": told}, "\n".join(lines))


@cli.command()
def rotate(
    accept_old_for: Annotated[
        str, typer.Option(help="So long clients may go on sealing for the key before: 7d, 12h, 1s.")
    ] = "7d",
    as_json: AsJson = False,
) -> None:
    """Add a new current key. Workers seal every token anew under it, while they go on working."""
    from partner_connector.cli import provision
    from partner_connector.settings import load_settings

    accepted_for = duration("--accept-old-for", accept_old_for)
    path = load_settings().private_keyring_file
    key_id = provision.rotate_keyring(path, accepted_for).current.key_id
    answer(
        as_json,
        {"keyring_file": str(path), "key_id": key_id},
        f"{key_id} is current; back {path} up. Processes that read this file, or the public half "
        "beside it, follow by themselves",
    )


@cli.command()
def remove(key_id: str, as_json: AsJson = False) -> None:
    """Destroy a retired key: once nothing is sealed under it and no client may seal for it."""
    from partner_connector.cli import provision
    from partner_connector.settings import load_settings

    settings = load_settings()
    used = _sealed_by_key(settings).get(key_id, _NOTHING)
    if any(used.values()):
        raise OperatorError(
            f"{key_id} is needed: {used['tokens']} tokens and {used['webhook_secrets']} signing "
            "secrets of webhooks are sealed under it. Workers seal them anew; see "
            "`partner-connector keys status`"
        )
    path = settings.private_keyring_file
    provision.remove_key(path, key_id)
    answer(as_json, {"keyring_file": str(path), "key_id": key_id}, f"{key_id} is gone for good")


@cli.command()
def public(
    out: Annotated[Path, typer.Option(help="Where to write it.")], as_json: AsJson = False
) -> None:
    """Write the half of the keyring that an API process may have."""
    from partner_connector.cli import provision
    from partner_connector.sealing import keyring
    from partner_connector.settings import load_settings

    provision.export_public(keyring.read(load_settings().private_keyring_file), out)
    answer(as_json, {"keyring_file": str(out)}, f"wrote {out}: it opens no token")


def _keys(settings: "Settings") -> list[dict[str, object]]:
    from partner_connector.cli import provision
    from partner_connector.sealing import keyring

    return [
        {
            "key_id": key.key_id,
            "state": key.state,
            "created_at": key.created_at,
            "accepted_until": key.accepted_until,
        }
        for key in keyring.read(provision.whichever_half(settings)).keys
    ]


def _line(key: dict[str, object]) -> str:
    until = key.get("accepted_until")
    accepted = f"  accepted until {until}" if until else ""
    return f"{key['key_id']}  {key['state']:<9} {key.get('created_at', '')}{accepted}"


def _sealed_by_key(settings: "Settings") -> dict[str, dict[str, int]]:
    """Return how much of each kind is sealed under each key, wherever there is anything."""
    from partner_connector.cli import provision
    from partner_connector.features.tokens.keys_in_use import tokens_by_key
    from partner_connector.features.webhooks.signing_secrets import secrets_by_key

    async def count() -> tuple[dict[str, int], dict[str, int]]:
        async with (
            provision.database_open(settings) as database,
            database.reading() as session,
        ):
            return await tokens_by_key(session), await secrets_by_key(session)

    tokens, secrets = asyncio.run(count())
    return {
        key_id: {"tokens": tokens.get(key_id, 0), "webhook_secrets": secrets.get(key_id, 0)}
        for key_id in tokens | secrets
    }
