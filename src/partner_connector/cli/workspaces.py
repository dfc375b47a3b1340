"""`partner-connector workspace`, `api-key` and `audit`: commands for one workspace, without HTTP.

A command imports what it needs when it runs.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from partner_connector.cli.terminal import JsonOption, duration, print_result, report
from partner_connector.clock import now
from partner_connector.credentials import Scope
from partner_connector.errors import OperatorError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from partner_connector.settings import Settings

Result = TypeVar("Result")
Work = Callable[["AsyncSession"], Awaitable[Result]]

workspace_cli = typer.Typer(
    help="Create, list and rename workspaces. Each has its own API keys and data.",
    no_args_is_help=True,
)
api_key_cli = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)
audit_cli = typer.Typer(help="Verify the record of decisions.", no_args_is_help=True)

WorkspaceOption = Annotated[
    str, typer.Option(help="Id of the workspace; `workspace list` shows it.")
]
NameArgument = Annotated[str, typer.Argument(help="A name of 1 to 200 characters.")]


@workspace_cli.command("create")
def create_workspace(name: NameArgument, as_json: JsonOption = False) -> None:
    """Create a workspace and print its id."""
    from partner_connector.features.workspaces import repository as workspaces
    from partner_connector.ids import encode
    from partner_connector.settings import load_settings

    name = _name(name)

    async def create(session: "AsyncSession") -> dict[str, str]:
        workspace = await workspaces.create(session, name)
        return {"id": encode("wsp", workspace.id), "name": workspace.name}

    document = _write(load_settings(), create)
    print_result(as_json, document, document["id"])


@workspace_cli.command("list")
def list_workspaces(as_json: JsonOption = False) -> None:
    """List all workspaces with id and name, oldest first."""
    from partner_connector.features.workspaces import repository as workspaces
    from partner_connector.ids import encode
    from partner_connector.settings import load_settings

    async def read(session: "AsyncSession") -> list[dict[str, str]]:
        rows = await workspaces.list_all(session)
        return [{"id": encode("wsp", row.id), "name": row.name} for row in rows]

    found = _read(load_settings(), read)
    lines = [f"{workspace['id']}  {workspace['name']}" for workspace in found]
    _print_list(
        as_json, "workspaces", found, lines, "create one with `partner-connector workspace create`"
    )


@workspace_cli.command("rename")
def rename_workspace(
    workspace: Annotated[
        str, typer.Argument(help="Id of the workspace; `workspace list` shows it.")
    ],
    name: NameArgument,
    as_json: JsonOption = False,
) -> None:
    """Rename a workspace. Its id and its API keys stay the same."""
    from partner_connector.cli import provision
    from partner_connector.features.audit.service import Recorder
    from partner_connector.features.workspaces.service import rename
    from partner_connector.ids import encode
    from partner_connector.settings import load_settings

    name, workspace_id = _name(name), _decode("WORKSPACE", "wsp", workspace)
    settings = load_settings()

    async def write(session: "AsyncSession") -> None:
        await _require_workspace(session, workspace_id)
        keyring = provision.any_keyring(settings, report)
        await rename(session, Recorder.of_command_line(keyring, workspace_id), name)

    _write(settings, write)
    document = {"id": encode("wsp", workspace_id), "name": name}
    print_result(as_json, document, f"{document['id']} is now named {name}")


@api_key_cli.command("create")
def create_api_key(
    workspace: WorkspaceOption,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="A scope of the key; repeat for several. `all` grants every scope."),
    ] = None,
    expires_in: Annotated[
        str | None,
        typer.Option(help="Lifetime, such as 90d, 12h or 30m. Without it the key never expires."),
    ] = None,
    name: Annotated[str, typer.Option(help="Purpose of the key.")] = "command line",
    as_json: JsonOption = False,
) -> None:
    """Create an API key and print it. It is shown once; the service stores only its digest."""
    from partner_connector.cli import provision
    from partner_connector.features.api_keys import service as api_keys
    from partner_connector.features.audit.service import Recorder
    from partner_connector.ids import encode
    from partner_connector.settings import load_settings

    scopes, name = _scopes(scope), _name(name)
    expires_at = now() + duration("--expires-in", expires_in) if expires_in is not None else None
    workspace_id = _decode("--workspace", "wsp", workspace)
    settings = load_settings()

    async def create(session: "AsyncSession") -> dict[str, str]:
        keyring = provision.any_keyring(settings, report)
        await _require_workspace(session, workspace_id)
        key, secret = await api_keys.create(
            session,
            Recorder.of_command_line(keyring, workspace_id),
            name=name,
            scopes=scopes,
            expires_at=expires_at,
            pepper=keyring.derive(b"pc-api-keys"),
        )
        return {"id": encode("key", key.id), "api_key": secret}

    document = _write(settings, create)
    print_result(as_json, document, document["api_key"])


@api_key_cli.command("list")
def list_api_keys(workspace: WorkspaceOption, as_json: JsonOption = False) -> None:
    """List the API keys of a workspace, newest first. The keys themselves are never shown."""
    from partner_connector.features.api_keys.repository import ApiKeyRepository
    from partner_connector.features.api_keys.schemas import ApiKeyView
    from partner_connector.settings import load_settings

    workspace_id = _decode("--workspace", "wsp", workspace)

    async def read(session: "AsyncSession") -> list[dict[str, Any]]:
        await _require_workspace(session, workspace_id)
        rows = await ApiKeyRepository(session, workspace_id).list_all()
        return [ApiKeyView.model_validate(row).model_dump(mode="json") for row in rows]

    found = _read(load_settings(), read)
    lines = [
        f"{key['id']}  {_key_state(key):<8}  {key['name']}  ({', '.join(key['scopes'])})"
        for key in found
    ]
    _print_list(
        as_json, "api_keys", found, lines, "create one with `partner-connector api-key create`"
    )


@api_key_cli.command("revoke")
def revoke_api_key(
    key: Annotated[str, typer.Argument(help="Id of the API key (key_…); `api-key list` shows it.")],
    as_json: JsonOption = False,
) -> None:
    """Revoke an API key. The API refuses the key from the next request on."""
    from partner_connector.cli import provision
    from partner_connector.db import models
    from partner_connector.features.api_keys import service as api_keys
    from partner_connector.features.api_keys.repository import ApiKeyRepository
    from partner_connector.features.api_keys.schemas import ApiKeyView
    from partner_connector.features.audit.service import Recorder
    from partner_connector.settings import load_settings

    key_id = _decode("KEY", "key", key)
    settings = load_settings()

    async def revoke(session: "AsyncSession") -> dict[str, Any]:
        found = await session.get(models.ApiKey, key_id)
        if found is None:
            raise OperatorError(
                "there is no such API key: `partner-connector api-key list` shows those of a "
                "workspace"
            )
        keyring = provision.any_keyring(settings, report)
        recorder = Recorder.of_command_line(keyring, found.workspace_id)
        locked = await ApiKeyRepository(session, found.workspace_id).lock(key_id)
        await api_keys.revoke(session, recorder, locked)
        return ApiKeyView.model_validate(locked).model_dump(mode="json")

    document = _write(settings, revoke)
    print_result(as_json, document, f"{document['id']} is revoked")


@audit_cli.command("verify")
def verify_audit(
    workspace: WorkspaceOption,
    anchor: Annotated[
        str | None,
        typer.Option(help="SEQUENCE:HASH from an earlier run, which you kept elsewhere."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Verify the audit chain of a workspace. Exits with 1 where the chain is broken."""
    from partner_connector.cli import provision
    from partner_connector.features.audit.chain import PURPOSE, Anchor, Verdict, verify
    from partner_connector.features.audit.schemas import audit_verification
    from partner_connector.settings import load_settings

    workspace_id = _decode("--workspace", "wsp", workspace)
    try:
        known = Anchor.parse(anchor) if anchor is not None else None
    except ValueError as error:
        raise typer.BadParameter(f"--anchor: {error}") from None
    settings = load_settings()

    async def follow(session: "AsyncSession") -> Verdict:
        key = provision.any_keyring(settings, report).derive(PURPOSE)
        return await verify(session, key, workspace_id, known)

    found = audit_verification(_read(settings, follow))
    broken = found.broken
    text = f"{found.events} events are intact; the anchor is {found.anchor}"
    if broken is not None:
        text += f"\nbroken at sequence {broken.sequence}: {broken.reason}"
    print_result(as_json, found.model_dump(mode="json"), text)
    if broken is not None:
        raise typer.Exit(1)


def _write(settings: "Settings", work: "Work[Result]") -> Result:
    """Run the work in one transaction, which commits at its end."""
    return _run(settings, work, can_write=True)


def _read(settings: "Settings", work: "Work[Result]") -> Result:
    """Run the work, which cannot write."""
    return _run(settings, work, can_write=False)


def _run(settings: "Settings", work: "Work[Result]", *, can_write: bool) -> Result:
    """Prepare the database and run the work in a session."""
    from partner_connector.cli import provision

    async def run() -> Result:
        async with (
            provision.database_open(settings) as database,
            database.writing() if can_write else database.reading() as session,
        ):
            return await work(session)

    return asyncio.run(run())


def _print_list(
    as_json: bool, name: str, found: Sequence[object], lines: Sequence[str], hint: str
) -> None:
    """Print a list; where it is empty, print nothing but say what to do."""
    if as_json or lines:
        print_result(as_json, {name: found}, "\n".join(lines))
    else:
        report(f"there are none: {hint}")


def _key_state(key: dict[str, Any]) -> str:
    if key["revoked_at"] is not None:
        return "revoked"
    expires_at = key["expires_at"]
    is_over = expires_at is not None and datetime.fromisoformat(expires_at) <= now()
    return "expired" if is_over else "active"


async def _require_workspace(session: "AsyncSession", workspace_id: uuid.UUID) -> None:
    from partner_connector.db import models

    if await session.get(models.Workspace, workspace_id) is None:
        raise OperatorError(
            "there is no such workspace: `partner-connector workspace list` shows all"
        )


def _name(text: str) -> str:
    if not 1 <= len(text.strip()) <= 200:  # noqa: PLR2004 - the column's length
        raise typer.BadParameter("a name must have 1 to 200 characters")
    return text.strip()


def _scopes(requested: list[str] | None) -> list[str]:
    known = [str(scope) for scope in Scope]
    if not requested:
        raise typer.BadParameter(f"name at least one --scope: all, {', '.join(known)}")
    if "all" in requested:
        return known
    if unknown := sorted(set(requested) - set(known)):
        raise typer.BadParameter(f"no such scope: {', '.join(unknown)}; known: {', '.join(known)}")
    return requested


def _decode(parameter: str, prefix: str, text: str) -> uuid.UUID:
    """Return the UUID of an id. Raises `BadParameter`, which names the parameter."""
    from partner_connector.ids import decode

    try:
        return decode(prefix, text)
    except ValueError:
        kind = {"wsp": "a workspace", "key": "an API key"}[prefix]
        raise typer.BadParameter(f"{parameter} is not {kind} id ({prefix}_…)") from None
