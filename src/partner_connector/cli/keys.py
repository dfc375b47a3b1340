"""`partner-connector keys …`: the keyring, its rotation, and how many secrets each key seals.

A command imports what it needs when it runs.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from partner_connector.cli.terminal import JsonOption, duration, print_result
from partner_connector.errors import OperatorError

if TYPE_CHECKING:
    from partner_connector.settings import Settings

_NONE_SEALED = {"tokens": 0, "webhook_secrets": 0}

cli = typer.Typer(help="Manage the keyring that seals tokens.", no_args_is_help=True)


@cli.command()
def generate(as_json: JsonOption = False) -> None:
    """Create a keyring. Never replaces an existing keyring."""
    from partner_connector.cli import provision
    from partner_connector.settings import load_settings

    path = load_settings().private_keyring_file
    ring = provision.generate_keyring(path)
    document = {"keyring_file": str(path), "key_id": ring.current.key_id}
    print_result(
        as_json, document, f"wrote {path}: back it up; no stored token can be opened without it"
    )


@cli.command("list")
def list_keys(as_json: JsonOption = False) -> None:
    """List the keys with their ids and states. The keys themselves are never shown."""
    from partner_connector.settings import load_settings

    listed = _keys(load_settings())
    print_result(as_json, {"keys": listed}, "\n".join(_line(key) for key in listed))


@cli.command()
def status(as_json: JsonOption = False) -> None:
    """Show how many secrets each key seals, which is the progress after a rotation."""
    from partner_connector.settings import load_settings

    settings = load_settings()
    keys = _keys(settings)
    used = _sealed_by_key(settings)
    rows = [key | used.pop(str(key["key_id"]), _NONE_SEALED) for key in keys]
    # The remaining secrets are sealed under keys that are missing from this keyring.
    rows += [{"key_id": key_id, "state": "missing", **sealed} for key_id, sealed in used.items()]
    lines = [
        f"{_line(key)}  {key['tokens']} tokens, {key['webhook_secrets']} signing secrets"
        for key in rows
    ]
    print_result(as_json, {"keys": rows}, "\n".join(lines))


@cli.command()
def rotate(
    accept_old_for: Annotated[
        str,
        typer.Option(help="How long callers may still seal with the replaced key: 7d, 12h, 1s."),
    ] = "7d",
    as_json: JsonOption = False,
) -> None:
    """Add a key and make it current. Running workers re-seal every stored secret under it."""
    from partner_connector.cli import provision
    from partner_connector.settings import load_settings

    accepted_for = duration("--accept-old-for", accept_old_for)
    path = load_settings().private_keyring_file
    key_id = provision.rotate_keyring(path, accepted_for).current.key_id
    print_result(
        as_json,
        {"keyring_file": str(path), "key_id": key_id},
        f"{key_id} is current; back up {path}. Processes that use this file, or the public half "
        "beside it, load the change by themselves",
    )


@cli.command()
def remove(
    key_id: Annotated[str, typer.Argument(help="Id of the key; `keys list` shows it.")],
    as_json: JsonOption = False,
) -> None:
    """Delete a retiring key forever. Refused while it seals a secret or clients may seal for it."""
    from partner_connector.cli import provision
    from partner_connector.settings import load_settings

    settings = load_settings()
    used = _sealed_by_key(settings).get(key_id, _NONE_SEALED)
    if any(used.values()):
        raise OperatorError(
            f"{key_id} is in use: {used['tokens']} tokens and {used['webhook_secrets']} webhook "
            "signing secrets are sealed under it. Running workers re-seal them; "
            "`partner-connector keys status` shows the progress"
        )
    path = settings.private_keyring_file
    provision.remove_key(path, key_id)
    print_result(as_json, {"keyring_file": str(path), "key_id": key_id}, f"{key_id} is deleted")


@cli.command()
def public(
    out: Annotated[Path, typer.Option(help="File to write.")], as_json: JsonOption = False
) -> None:
    """Write the public half of the keyring, which an API process needs. It opens no token."""
    from partner_connector.cli import provision
    from partner_connector.sealing import keyring
    from partner_connector.settings import load_settings

    provision.export_public(keyring.read(load_settings().private_keyring_file), out)
    print_result(
        as_json,
        {"keyring_file": str(out)},
        f"wrote {out}: it opens no token; give it to API processes",
    )


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
        for key in keyring.read(provision.available_keyring_file(settings)).keys
    ]


def _line(key: dict[str, object]) -> str:
    until = key.get("accepted_until")
    accepted = f"  accepted until {until}" if until else ""
    return f"{key['key_id']}  {key['state']:<9} {key.get('created_at', '')}{accepted}"


def _sealed_by_key(settings: "Settings") -> dict[str, dict[str, int]]:
    """Return the number of sealed secrets of each kind, for each key that seals any."""
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
