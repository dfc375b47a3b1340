"""`partner-connector workspace`, `api-key` and `audit`: what a tenant has, without HTTP."""

import asyncio
import uuid
from datetime import datetime

import typer

from partner_connector.cli import provision
from partner_connector.cli.terminal import answer, duration, tell
from partner_connector.clock import now
from partner_connector.credentials import Scope
from partner_connector.db.engine import open_database
from partner_connector.errors import OperatorError
from partner_connector.features.api_keys import service as api_keys
from partner_connector.features.audit.chain import PURPOSE, Anchor, Verdict, verify
from partner_connector.features.audit.schemas import audit_verification
from partner_connector.features.audit.service import Recorder
from partner_connector.features.workspaces import repository as workspaces
from partner_connector.ids import decode, encode
from partner_connector.settings import load_settings


def create_workspace(name: str, as_json: bool) -> None:
    """Store a workspace and print its id."""
    name = _name(name)
    settings = load_settings()
    provision.prepare_database(settings, tell)

    async def create() -> dict[str, str]:
        database = open_database(settings)
        async with database.writing() as session:
            workspace = await workspaces.create(session, name)
        await database.close()
        return {"id": encode("wsp", workspace.id), "name": workspace.name}

    document = asyncio.run(create())
    answer(as_json, document, document["id"])


def create_api_key(
    workspace: str, scopes: list[str], expires_in: str | None, name: str, as_json: bool
) -> None:
    """Store an API key's digest and print the key."""
    scopes, name = _scopes(scopes), _name(name)
    expires_at = _expiry(expires_in)
    workspace_id = _workspace_id(workspace)
    settings = load_settings()
    provision.prepare_database(settings, tell)
    keyring = provision.any_keyring(settings, tell)

    async def create() -> dict[str, str] | None:
        database = open_database(settings)
        try:
            async with database.writing() as session:
                if await workspaces.get(session, workspace_id) is None:
                    return None
                key, secret = await api_keys.create(
                    session,
                    Recorder.of_command_line(keyring, workspace_id),
                    name=name,
                    scopes=scopes,
                    expires_at=expires_at,
                    pepper=keyring.derive(b"pc-api-keys"),
                )
            return {"id": encode("key", key.id), "api_key": secret}
        finally:
            await database.close()

    document = asyncio.run(create())
    if document is None:
        raise OperatorError("there is no such workspace")
    answer(as_json, document, document["api_key"])


def verify_audit(workspace: str, anchor: str | None, as_json: bool) -> None:
    """Follow the chain of a workspace's audit events; exit with 1 where it is broken."""
    workspace_id = _workspace_id(workspace)
    known = _anchor(anchor)
    settings = load_settings()
    provision.prepare_database(settings, tell)
    key = provision.any_keyring(settings, tell).derive(PURPOSE)

    async def follow() -> Verdict:
        database = open_database(settings)
        try:
            async with database.reading() as session:
                return await verify(session, key, workspace_id, known)
        finally:
            await database.close()

    found = audit_verification(asyncio.run(follow()))
    broken = found.broken
    told = f"{found.events} events hold together; the anchor is {found.anchor}"
    if broken is not None:
        told += f"\nbroken at sequence {broken.sequence}: {broken.reason}"
    answer(as_json, found.model_dump(mode="json"), told)
    if broken is not None:
        raise typer.Exit(1)


def _anchor(text: str | None) -> Anchor | None:
    try:
        return Anchor.parse(text) if text is not None else None
    except ValueError as error:
        raise typer.BadParameter(f"--anchor: {error}") from None


def _name(text: str) -> str:
    if not 1 <= len(text.strip()) <= 200:  # noqa: PLR2004 - the column's length
        raise typer.BadParameter("a name has 1 to 200 characters")
    return text.strip()


def _scopes(asked: list[str]) -> list[str]:
    known = [str(scope) for scope in Scope]
    if not asked:
        raise typer.BadParameter(f"name at least one --scope: all, {', '.join(known)}")
    if "all" in asked:
        return known
    if unknown := sorted(set(asked) - set(known)):
        raise typer.BadParameter(f"no such scope: {', '.join(unknown)}; known: {', '.join(known)}")
    return asked


def _expiry(expires_in: str | None) -> datetime | None:
    if expires_in is None:
        return None
    return now() + duration("--expires-in", expires_in)


def _workspace_id(text: str) -> uuid.UUID:
    try:
        return decode("wsp", text)
    except ValueError:
        raise typer.BadParameter("--workspace is not a workspace id") from None
