"""The full campaign: `python -m tests.rotation --help`.

Prints a report for each database, and exits with 1 where a promise was broken.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.rotation.kills import kill_resealing
from tests.support.databases import PostgresTemplate, SqliteTemplate, postgres_server

_DATABASES = ("sqlite", "postgresql")


@contextmanager
def _database(kind: str, directory: Path) -> Iterator[str]:
    if kind == "sqlite":
        (directory / "template").mkdir()
        yield SqliteTemplate(directory / "template").clone(directory)
        return
    given = os.environ.get("TEST_POSTGRES_URL")
    with postgres_server(directory / "postgres", given) as server_url:
        template = PostgresTemplate(server_url)
        with template.clone() as url:
            yield url
        template.drop()


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the campaign on each requested database; return 1 where a promise was broken."""
    asked = _parser().parse_args(arguments)
    broken = 0
    for kind in asked.database or _DATABASES:
        with (
            tempfile.TemporaryDirectory(prefix="rotation-", ignore_cleanup_errors=True) as name,
            _database(kind, Path(name)) as url,
        ):
            report = kill_resealing(
                Path(name), url, kills=asked.kills, seed=asked.seed, partners=asked.partners
            )
        print(report, flush=True)
        broken += len(report.violations)
    return 1 if broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.rotation", description=__doc__)
    add = parser.add_argument
    add("--kills", type=int, default=50, help="on each database; default %(default)s")
    add("--seed", type=int, default=1, help="of all that is random; default %(default)s")
    add("--partners", type=int, default=400, help="with a token each; default %(default)s")
    add("--database", action="append", choices=_DATABASES, help="default both")
    return parser


if __name__ == "__main__":
    sys.exit(main())
