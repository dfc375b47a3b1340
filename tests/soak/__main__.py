"""`make soak`, or `python -m tests.soak --help`.

Real processes in front of a simulated Meta, customers without a pause, and a retention of minutes.
Prints a line for each series, and exits with 1 where one grows or anything went wrong.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.soak.load import load
from tests.soak.record import Samples
from tests.soak.samples import Probe
from tests.soak.verdict import KEPT_FOREVER, RETENTION_MINUTES, judge
from tests.survival.customer import Customer, customer
from tests.survival.deployment import deployment
from tests.survival.postgres import own_postgres

RETENTION_SECONDS = RETENTION_MINUTES * 60
_DAY_SECONDS = 24 * 3600
_EVERY_SECONDS = 5.0
_MOST_TROUBLES_PRINTED = 5


def soak(subject: Customer, *, minutes: float, samples: Samples) -> int:
    """Run the soak, and return the number of growing series and troubles."""
    probe = Probe.of(subject.deployment)
    ends_at = time.monotonic() + minutes * 60
    with load(subject) as busy:
        with busy.going_on():
            while time.monotonic() < ends_at:
                samples.add(probe.sample(busy.counted()))
                probe.expire_keys(RETENTION_SECONDS)
                time.sleep(_EVERY_SECONDS)
        done = busy.counted()
        verdicts = judge(samples.taken)
    print(f"Soak on {subject.deployment.name}: {minutes:.0f} minutes, {len(samples.taken)} samples")
    print(f"  done: {', '.join(f'{what} {count}' for what, count in done.items())}")
    for name in KEPT_FOREVER:
        first, last = samples.taken[0][name], samples.taken[-1][name]
        print(f"  kept forever: {name}, {first:.0f} to {last:.0f}")
    for verdict in verdicts:
        print(f"  {verdict}")
    for trouble in busy.troubles[:_MOST_TROUBLES_PRINTED]:
        print(trouble)
    growing = [verdict for verdict in verdicts if not verdict.is_flat]
    print(f"{len(growing)} of {len(verdicts)} series grow; {len(busy.troubles)} troubles")
    return len(growing) + len(busy.troubles)


@contextmanager
def _subject(database: str, partners: int) -> Iterator[Customer]:
    days = str(RETENTION_SECONDS / _DAY_SECONDS)
    settings = {"RETENTION_DAYS": days, "ENGINE_RETENTION_DAYS": days, "LOG_LEVEL": "INFO"}
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as name:
        run = Path(name) / "run"
        if database == "sqlite":
            embedded = deployment(run, None, partners=partners, settings=settings)
            with embedded as running, customer(running) as made:
                yield made
            return
        with (
            own_postgres(Path(name) / "postgres") as server,
            deployment(run, server.url, partners=partners, settings=settings) as running,
            customer(running) as made,
        ):
            yield made


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 1 where anything grows or went wrong."""
    asked = _parser().parse_args(arguments)
    asked.out.mkdir(parents=True, exist_ok=True)
    wrong = 0
    for database in asked.database or ["sqlite", "postgresql"]:
        with _subject(database, asked.partners) as subject:
            samples = Samples(asked.out / f"soak-{database}.csv")
            wrong += soak(subject, minutes=asked.minutes, samples=samples)
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=30.0, help="on each database; default %(default)s")
    add("--partners", type=int, default=4, help="of the customer; default %(default)s")
    add("--database", action="append", choices=["sqlite", "postgresql"], help="default both")
    add("--out", type=Path, default=Path("soak"), help="where the samples go; default %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
