"""`partner-connector workspace`, `api-key` and `audit`: what a tenant has, without HTTP.

A command imports what it needs when it runs.
"""

import asyncio
import uuid
from typing import Annotated

import typer

from partner_connector.cli.terminal import AsJson, answer, duration, tell
from partner_connector.clock import now
from partner_connector.credentials import Scope
from partner_connector.errors import OperatorError

workspace_cli = typer.Typer(help="Tenants.", no_args_is_help=True)
api_key_cli = typer.Typer(help="Keys for the API.", no_args_is_help=True)
audit_cli = typer.Typer(help="Who decided what.", no_args_is_help=True)

Workspace = Annotated[str, typer.Option(help="The workspace's id.")]


@workspace_cli.command("create")
def create_workspace(name: str, as_json: AsJson = False) -> None:
    """Make a tenant."""
    from partner_connector.cli import provision
    from partner_connector.features.workspaces import repository as workspaces
    from partner_connector.ids import encode
    from partner_connector.settings import load_settings

    name = _name(name)
    settings = load_settings()

    async def create() -> dict[str, str]:
        async with (
            provision.database_open(settings) as database,
            database.writing() as session,
        ):
            workspace = await workspaces.create(session, name)
        return {"id": encode("wsp", workspace.id), "name": workspace.name}

    document = asyncio.run(create())
    answer(as_json, document, document["id"])


@api_key_cli.command("create")
def create_api_key(
    workspace: Workspace,
    scope: Annotated[
        list[str] | None, typer.Option(help="Repeat for several; `all` grants every scope.")
    ] = None,
    expires_in: Annotated[
        str | None, typer.Option(help="As 90d, 12h, 30m; without it the key lasts.")
    ] = None,
    name: Annotated[str, typer.Option(help="What it is for.")] = "command line",
    as_json: AsJson = False,
) -> None:
    """Make an API key. It is printed once and stored nowhere."""
    from partner_connector.cli import provision
    from partner_connector.db import models
    from partner_connector.features.api_keys import service as api_keys
    from partner_connector.features.audit.service import Recorder
    from partner_connector.ids import encode
    from partner_connector.settings import load_settings

    scopes, name = _scopes(scope), _name(name)
    expires_at = now() + duration("--expires-in", expires_in) if expires_in is not None else None
    workspace_id = _workspace_id(workspace)
    settings = load_settings()

    async def create() -> dict[str, str]:
        async with (
            provision.database_open(settings) as database,
            database.writing() as session,
        ):
            keyring = provision.any_keyring(settings, tell)
            if await session.get(models.Workspace, workspace_id) is None:
                raise OperatorError("there is no such workspace")
            key, secret = await api_keys.create(
                session,
                Recorder.of_command_line(keyring, workspace_id),
                name=name,
                scopes=scopes,
                expires_at=expires_at,
                pepper=keyring.derive(b"pc-api-keys"),
            )
        return {"id": encode("key", key.id), "api_key": secret}

    document = asyncio.run(create())
    answer(as_json, document, document["api_key"])


@audit_cli.command("verify")
def verify_audit(
    workspace: Workspace,
    anchor: Annotated[
        str | None, typer.Option(help="SEQUENCE:HASH from an earlier time, kept outside.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Follow the chain of a workspace's audit events; 1 where it is broken."""
    from partner_connector.cli import provision
    from partner_connector.features.audit.chain import PURPOSE, Anchor, Verdict, verify
    from partner_connector.features.audit.schemas import audit_verification
    from partner_connector.settings import load_settings

    workspace_id = _workspace_id(workspace)
    try:
        known = Anchor.parse(anchor) if anchor is not None else None
    except ValueError as error:
        raise typer.BadParameter(f"--anchor: {error}") from None
    settings = load_settings()

    async def follow() -> Verdict:
        async with (
            provision.database_open(settings) as database,
            database.reading() as session,
        ):
            key = provision.any_keyring(settings, tell).derive(PURPOSE)
            return await verify(session, key, workspace_id, known)

    found = audit_verification(asyncio.run(follow()))
    broken = found.broken
    told = f"{found.events} events hold together; the anchor is {found.anchor}"
    if broken is not None:
        told += f"\nbroken at sequence {broken.sequence}: {broken.reason}"
    answer(as_json, found.model_dump(mode="json"), told)
    if broken is not None:
        raise typer.Exit(1)


def _name(text: str) -> str:
    if not 1 <= len(text.strip()) <= 200:  # noqa: PLR2004 - the column's length
        raise typer.BadParameter("a name has 1 to 200 characters")
    return text.strip()


def _scopes(asked: list[str] | None) -> list[str]:
    known = [str(scope) for scope in Scope]
    if not asked:
        raise typer.BadParameter(f"name at least one --scope: all, {', '.join(known)}")
    if "all" in asked:
        return known
    if unknown := sorted(set(asked) - set(known)):
        raise typer.BadParameter(f"no such scope: {', '.join(unknown)}; known: {', '.join(known)}")
    return asked


def _workspace_id(text: str) -> uuid.UUID:
    from partner_connector.ids import decode

    try:
        return decode("wsp", text)
    except ValueError:
        raise typer.BadParameter("--workspace is not a workspace id") from None
