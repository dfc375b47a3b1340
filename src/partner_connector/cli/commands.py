"""The command line: `partner-connector …`.

Answers of `--json` go to standard output and nothing else does; what a person should know goes to
standard error. A wrong setting, a missing key or a busy port ends with exit code 1 and one line.
"""

import asyncio
import json
import sys
import uuid
from datetime import datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from sqlalchemy.exc import OperationalError

from partner_connector import __version__
from partner_connector.api.app import create_app
from partner_connector.api.system import problem_page
from partner_connector.cli import diagnose, migrate, provision, serving
from partner_connector.cli.demo import DemoFailed, run_demo
from partner_connector.cli.keys import keys_cli
from partner_connector.cli.terminal import AsJson, answer, duration, tell
from partner_connector.clock import now
from partner_connector.credentials import Scope
from partner_connector.db import revisions
from partner_connector.db.engine import open_database
from partner_connector.features.api_keys import service as api_keys
from partner_connector.features.audit.chain import PURPOSE, Anchor, Verdict, verify
from partner_connector.features.audit.schemas import audit_verification
from partner_connector.features.audit.service import Recorder
from partner_connector.features.workspaces import repository as workspaces
from partner_connector.ids import decode, encode
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.keyring import KeyringError
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import SettingsError, load_settings, without_environment
from partner_connector.telemetry.logging import configure_logging

cli = typer.Typer(
    name="partner-connector",
    help="See which people at your Meta business partners can touch your assets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
workspace_cli = typer.Typer(help="Tenants.", no_args_is_help=True)
api_key_cli = typer.Typer(help="Keys for the API.", no_args_is_help=True)
audit_cli = typer.Typer(help="Who decided what.", no_args_is_help=True)
cli.add_typer(keys_cli, name="keys")
cli.add_typer(workspace_cli, name="workspace")
cli.add_typer(api_key_cli, name="api-key")
cli.add_typer(audit_cli, name="audit")


def main() -> None:
    """Run the command line; expected failures end in one line, not in a traceback."""
    try:
        cli()
    except SettingsError as error:
        _give_up(f"wrong configuration:\n{error}")
    except (
        provision.NotProvisioned,
        revisions.DatabaseNotReady,
        serving.PortTaken,
        KeyringError,
        DemoFailed,
    ) as error:
        _give_up(str(error))
    except KeyboardInterrupt:
        sys.exit(130)  # as shells say it: ended by SIGINT
    except OperationalError:
        _give_up("PARTNER_CONNECTOR_DATABASE_URL: the database cannot be reached")


def _give_up(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(1)


@cli.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any free one.")] = 8000,
    with_worker: Annotated[
        bool, typer.Option("--with-worker", help="Run the worker in this process too.")
    ] = False,
) -> None:
    """Serve the API."""
    settings = load_settings()
    configure_logging(settings)
    provision.collect_traces(settings)
    with serving.listen(host, port) as listener:
        provision.prepare_database(settings, tell)
        if with_worker:
            ring = provision.private_keyring(settings, tell)
            serving.run(serving.serve_embedded(settings, ring, listener))
        else:
            keyring = provision.public_keyring(settings, tell)
            serving.run(serving.serve_api(settings, keyring, listener))


@cli.command()
def worker() -> None:
    """Run a worker: it talks to Meta and holds the private keys."""
    settings = load_settings()
    configure_logging(settings)
    provision.collect_traces(settings)
    provision.prepare_database(settings, tell)
    ring = provision.private_keyring(settings, tell)
    serving.run(serving.run_worker(settings, ring))


@cli.command()
def demo(
    port: Annotated[int, typer.Option(help="The API's port; 0 takes any free one.")] = 8000,
    graph_port: Annotated[int, typer.Option(help="The simulator's port; 0 likewise.")] = 8001,
    once: Annotated[bool, typer.Option("--once", help="End after the table of users.")] = False,
) -> None:
    """Walk the whole journey against a simulated Meta, then keep serving."""
    serving.run(run_demo(port=port, graph_port=graph_port, once=once))


@cli.command("migrate")
def migrate_command() -> None:
    """Bring the database to the newest revision, the engine's tables included."""
    settings = load_settings()
    if settings.uses_sqlite:
        provision.prepare_database(settings, tell)
    else:
        migrate.upgrade(settings)
    tell("the database is at the newest revision")


Out = Annotated[Path | None, typer.Option(help="A file instead of standard output.")]
Check = Annotated[
    Path | None, typer.Option(help="Compare with this file; exit 1 where it differs.")
]


@cli.command()
def openapi(out: Out = None, check: Check = None) -> None:
    """Print the OpenAPI document."""
    app = create_app(without_environment(), PublicKeyring(keyring_file.generate()))
    _write(json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n", out, check)


@cli.command()
def problems(out: Out = None, check: Check = None) -> None:
    """Print the page that explains every kind of problem, in Markdown."""
    _write(problem_page.markdown(), out, check)


def _write(text: str, out: Path | None, check: Path | None) -> None:
    if check is not None:
        if check.read_text(encoding="utf-8") != text:
            _give_up(f"{check} is not what the code generates: run `make openapi`")
        tell(f"{check} is up to date")
    elif out is not None:
        out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


@cli.command()
def check(as_json: AsJson = False) -> None:
    """Diagnose a deployment: database, migrations, engine, workers, keys, Meta, clocks."""
    findings = asyncio.run(diagnose.run(load_settings()))
    if as_json:
        print(json.dumps({"ok": diagnose.all_well(findings), "checks": findings}))
    else:
        for finding in findings:
            print(f"{finding['status']:<8} {finding['name']:<12} {finding['detail']}")
    if not diagnose.all_well(findings):
        sys.exit(1)


@cli.command()
def version() -> None:
    """Print the version."""
    print(__version__)


@workspace_cli.command("create")
def workspace_create(name: str, as_json: AsJson = False) -> None:
    """Make a tenant."""
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


@api_key_cli.command("create")
def api_key_create(
    workspace: Annotated[str, typer.Option(help="The workspace's id.")],
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
    scopes, name = _scopes(scope or []), _name(name)
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
        _give_up("there is no such workspace")
    answer(as_json, document, document["api_key"])


@audit_cli.command("verify")
def audit_verify(
    workspace: Annotated[str, typer.Option(help="The workspace's id.")],
    anchor: Annotated[
        str | None, typer.Option(help="SEQUENCE:HASH from an earlier time, kept outside.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Follow the chain of a workspace's audit events; 1 where it is broken."""
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
