"""The command line `partner-connector`: its commands, but for those of `keys` and `tenants`.

A command imports what it needs when it runs: `--version` and `--help` load none of it. Answers of
`--json` go to standard output and nothing else does; messages for a person go to standard error. A
wrong setting, a missing key or a busy port ends with exit code 1 and one line.
"""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from partner_connector import __version__
from partner_connector.cli import keys, tenants
from partner_connector.cli.terminal import AsJson, tell
from partner_connector.errors import OperatorError

cli = typer.Typer(
    name="partner-connector",
    help="See which people at your Meta business partners can touch your assets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.add_typer(keys.cli, name="keys")
cli.add_typer(tenants.workspace_cli, name="workspace")
cli.add_typer(tenants.api_key_cli, name="api-key")
cli.add_typer(tenants.audit_cli, name="audit")

Out = Annotated[Path | None, typer.Option(help="A file instead of standard output.")]
Check = Annotated[
    Path | None, typer.Option(help="Compare with this file; exit 1 where it differs.")
]


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
