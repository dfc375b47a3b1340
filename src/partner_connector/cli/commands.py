"""The command line `partner-connector`: the program, and the commands without a group.

A command imports what it needs when it runs, so that `--version` and `--help` start fast. With
`--json` a command prints one JSON object to standard output and nothing else. Messages for a person
go to standard error. An expected failure, such as a wrong setting, ends with one line and exit
code 1.
"""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from partner_connector import __version__
from partner_connector.cli import keys, workspaces
from partner_connector.cli.terminal import JsonOption, report
from partner_connector.errors import OperatorError

cli = typer.Typer(
    name="partner-connector",
    help="See which people at your Meta business partners have access to your assets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cli.add_typer(keys.cli, name="keys")
cli.add_typer(workspaces.workspace_cli, name="workspace")
cli.add_typer(workspaces.api_key_cli, name="api-key")
cli.add_typer(workspaces.audit_cli, name="audit")

Out = Annotated[Path | None, typer.Option(help="Write to this file instead of standard output.")]
Check = Annotated[
    Path | None, typer.Option(help="Compare with this file; exit with 1 if it differs.")
]


def main() -> None:
    """Run the command line. An expected failure ends with one line instead of a traceback."""
    try:
        cli()
    except OperatorError as error:
        _give_up(str(error))
    except KeyboardInterrupt:
        sys.exit(130)  # the shells' code for a process that SIGINT ended
    except Exception as error:
        from sqlalchemy.exc import OperationalError

        if not isinstance(error, OperationalError):
            raise
        _give_up(
            "PARTNER_CONNECTOR_DATABASE_URL: the database cannot be reached; run "
            "`partner-connector check`"
        )


def _give_up(message: str) -> NoReturn:
    report(message)
    sys.exit(1)


def _print_version(is_set: bool) -> None:
    if is_set:
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
    """Options of the program, before the command."""


@cli.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes any free port.")] = 8000,
    with_worker: Annotated[
        bool, typer.Option("--with-worker", help="Also run a worker in this process.")
    ] = False,
) -> None:
    """Serve the API. On the first start with SQLite, create the database and the keys."""
    if with_worker:
        from partner_connector.cli import embedded

        embedded.serve(host, port)
    else:
        from partner_connector.cli import serving

        serving.serve(host, port)


@cli.command()
def worker() -> None:
    """Run a worker. It calls Meta and holds the private keys."""
    from partner_connector.cli import working

    working.work()


@cli.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of the API; 0 takes any free port.")] = 8000,
    graph_port: Annotated[
        int, typer.Option(help="Port of the simulated Meta; 0 takes any free port.")
    ] = 8001,
    once: Annotated[bool, typer.Option("--once", help="Exit after the table of users.")] = False,
) -> None:
    """Show every step with a simulated Meta and temporary data, then keep serving."""
    from partner_connector.cli import process
    from partner_connector.cli.demo import run_demo

    process.run(run_demo(port=port, graph_port=graph_port, once=once))


@cli.command()
def migrate() -> None:
    """Migrate the database to the newest revision, including the tables of the durable engine."""
    from partner_connector.cli import provision

    provision.migrate_database(report)


@cli.command()
def openapi(out: Out = None, check: Check = None) -> None:
    """Print the OpenAPI document."""
    from partner_connector.cli import documents

    documents.write(documents.openapi(), out, check)


@cli.command()
def problems(out: Out = None, check: Check = None) -> None:
    """Print the reference page of all problems, in Markdown."""
    from partner_connector.api.system import problem_page
    from partner_connector.cli import documents

    documents.write(problem_page.markdown(), out, check)


@cli.command()
def check(as_json: JsonOption = False) -> None:
    """Diagnose a deployment and say what to do for each failure. Exits with 1 if a check fails.

    Checks the database, migrations, durable engine, queue, workers, keys, Meta and clocks.
    """
    from partner_connector.cli import diagnose

    diagnose.check(as_json)


@cli.command()
def version() -> None:
    """Print the version."""
    print(__version__)
