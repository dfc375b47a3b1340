"""Every command of `partner-connector`: its name, its options and its help.

A command imports what it needs when it runs: `--version` and `--help` load none of it. Answers of
`--json` go to standard output and nothing else does; messages for a person go to standard error. A
wrong setting, a missing key or a busy port ends with exit code 1 and one line.
"""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from partner_connector import __version__
from partner_connector.cli.terminal import AsJson, tell
from partner_connector.errors import OperatorError

cli = typer.Typer(
    name="partner-connector",
    help="See which people at your Meta business partners can touch your assets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys_cli = typer.Typer(help="The keyring that seals tokens.", no_args_is_help=True)
workspace_cli = typer.Typer(help="Tenants.", no_args_is_help=True)
api_key_cli = typer.Typer(help="Keys for the API.", no_args_is_help=True)
audit_cli = typer.Typer(help="Who decided what.", no_args_is_help=True)
cli.add_typer(keys_cli, name="keys")
cli.add_typer(workspace_cli, name="workspace")
cli.add_typer(api_key_cli, name="api-key")
cli.add_typer(audit_cli, name="audit")

Out = Annotated[Path | None, typer.Option(help="A file instead of standard output.")]
Check = Annotated[
    Path | None, typer.Option(help="Compare with this file; exit 1 where it differs.")
]
Workspace = Annotated[str, typer.Option(help="The workspace's id.")]


def main() -> None:
    """Run the command line; expected failures end in one line, not in a traceback."""
    try:
        cli()
    except OperatorError as error:
        _give_up(str(error))
    except KeyboardInterrupt:
        sys.exit(130)  # as shells say it: ended by SIGINT
    except Exception as error:
        from sqlalchemy.exc import OperationalError

        if not isinstance(error, OperationalError):
            raise
        _give_up("PARTNER_CONNECTOR_DATABASE_URL: the database cannot be reached")


def _give_up(message: str) -> NoReturn:
    tell(message)
    sys.exit(1)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        print(__version__)
        raise typer.Exit


@cli.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Options that stand before a command."""


@cli.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes any free one.")] = 8000,
    with_worker: Annotated[
        bool, typer.Option("--with-worker", help="Run the worker in this process too.")
    ] = False,
) -> None:
    """Serve the API."""
    if with_worker:
        from partner_connector.cli import embedded

        embedded.serve(host, port)
    else:
        from partner_connector.cli import serving

        serving.serve(host, port)


@cli.command()
def worker() -> None:
    """Run a worker: it talks to Meta and holds the private keys."""
    from partner_connector.cli import working

    working.work()


@cli.command()
def demo(
    port: Annotated[int, typer.Option(help="The API's port; 0 takes any free one.")] = 8000,
    graph_port: Annotated[int, typer.Option(help="The simulator's port; 0 likewise.")] = 8001,
    once: Annotated[bool, typer.Option("--once", help="End after the table of users.")] = False,
) -> None:
    """Walk the whole journey against a simulated Meta, then keep serving."""
    from partner_connector.cli import process
    from partner_connector.cli.demo import run_demo

    process.run(run_demo(port=port, graph_port=graph_port, once=once))


@cli.command()
def migrate() -> None:
    """Bring the database to the newest revision, the engine's tables included."""
    from partner_connector.cli import provision

    provision.migrate_database(tell)


@cli.command()
def openapi(out: Out = None, check: Check = None) -> None:
    """Print the OpenAPI document."""
    from partner_connector.cli import documents

    documents.write(documents.openapi(), out, check)


@cli.command()
def problems(out: Out = None, check: Check = None) -> None:
    """Print the page that explains every kind of problem, in Markdown."""
    from partner_connector.api.system import problem_page
    from partner_connector.cli import documents

    documents.write(problem_page.markdown(), out, check)


@cli.command()
def check(as_json: AsJson = False) -> None:
    """Diagnose a deployment: database, migrations, engine, workers, keys, Meta, clocks."""
    from partner_connector.cli import diagnose

    diagnose.check(as_json)


@cli.command()
def version() -> None:
    """Print the version."""
    print(__version__)


@keys_cli.command("generate")
def keys_generate(as_json: AsJson = False) -> None:
    """Make a new keyring; never replaces one."""
    from partner_connector.cli import keys

    keys.generate(as_json)


@keys_cli.command("list")
def keys_list(as_json: AsJson = False) -> None:
    """Show the keys by id; never a key itself."""
    from partner_connector.cli import keys

    keys.list_keys(as_json)


@keys_cli.command("status")
def keys_status(as_json: AsJson = False) -> None:
    """Show how much is sealed under each key; after a rotation, how far it has come."""
    from partner_connector.cli import keys

    keys.status(as_json)


@keys_cli.command("rotate")
def keys_rotate(
    accept_old_for: Annotated[
        str, typer.Option(help="So long clients may go on sealing for the key before: 7d, 12h, 1s.")
    ] = "7d",
    as_json: AsJson = False,
) -> None:
    """Add a new current key. Workers seal every token anew under it, while they go on working."""
    from partner_connector.cli import keys

    keys.rotate(accept_old_for, as_json)


@keys_cli.command("remove")
def keys_remove(key_id: str, as_json: AsJson = False) -> None:
    """Destroy a retired key: once nothing is sealed under it and no client may seal for it."""
    from partner_connector.cli import keys

    keys.remove(key_id, as_json)


@keys_cli.command("public")
def keys_public(
    out: Annotated[Path, typer.Option(help="Where to write it.")], as_json: AsJson = False
) -> None:
    """Write the half of the keyring that an API process may have."""
    from partner_connector.cli import keys

    keys.write_public_half(out, as_json)


@workspace_cli.command("create")
def workspace_create(name: str, as_json: AsJson = False) -> None:
    """Make a tenant."""
    from partner_connector.cli import tenants

    tenants.create_workspace(name, as_json)


@api_key_cli.command("create")
def api_key_create(
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
    from partner_connector.cli import tenants

    tenants.create_api_key(workspace, scope or [], expires_in, name, as_json)


@audit_cli.command("verify")
def audit_verify(
    workspace: Workspace,
    anchor: Annotated[
        str | None, typer.Option(help="SEQUENCE:HASH from an earlier time, kept outside.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Follow the chain of a workspace's audit events; 1 where it is broken."""
    from partner_connector.cli import tenants

    tenants.verify_audit(workspace, anchor, as_json)
