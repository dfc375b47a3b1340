"""The full campaign: `make survive`, or `python -m tests.survival --help`.

Prints a report for each scenario, and exits with 1 where a promise was broken.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.survival.api_killed import kill_api
from tests.survival.customer import Customer, customer
from tests.survival.deployment import deployment
from tests.survival.handing_over import lose_host, lose_host_in_transaction, stop_workers
from tests.survival.kills import freeze_workers, kill_workers
from tests.survival.outages import fill_disk, lock_database, restart_postgres
from tests.survival.postgres import OwnPostgres, own_postgres
from tests.survival.report import Report
from tests.survival.rolling import restart_apis
from tests.survival.side_by_side import check_at_once
from tests.survival.webhooks import SETTINGS, trouble_receiver

# The last of each is longer than any wait for a lock, and than all retries of a job.
_LOCKED_SECONDS = [5.0, 15.0, 40.0]
_FULL_SECONDS = [3.0, 10.0, 30.0, 120.0]


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the command line."""

    kills: int
    freezes: int
    seed: int
    partners: int


@dataclass(frozen=True, slots=True)
class Stage:
    """Customer, options, and a PostgreSQL server that the campaign controls, if there is one."""

    subject: Customer
    postgres: OwnPostgres | None
    options: Options


def _kill(stage: Stage) -> Report:
    return kill_workers(stage.subject, seed=stage.options.seed, kills=stage.options.kills)


def _freeze(stage: Stage) -> Report:
    return freeze_workers(stage.subject, seed=stage.options.seed, freezes=stage.options.freezes)


def _kill_api(stage: Stage) -> Report:
    return kill_api(stage.subject, seed=stage.options.seed, kills=stage.options.kills // 4)


def _lock(stage: Stage) -> Report:
    return lock_database(stage.subject, seed=stage.options.seed, seconds=_LOCKED_SECONDS)


def _fill(stage: Stage) -> Report:
    return fill_disk(stage.subject, seed=stage.options.seed, seconds=_FULL_SECONDS)


def _stop(stage: Stage) -> Report:
    return stop_workers(stage.subject, seed=stage.options.seed, stops=stage.options.kills // 4)


def _lose_host(stage: Stage) -> Report:
    return lose_host(stage.subject, seed=stage.options.seed)


def _lose_host_in_transaction(stage: Stage) -> Report:
    return lose_host_in_transaction(stage.subject, seed=stage.options.seed)


def _roll(stage: Stage) -> Report:
    restarts = stage.options.kills // 5
    return restart_apis(stage.subject, seed=stage.options.seed, restarts=restarts)


def _two_workers(stage: Stage) -> Report:
    return check_at_once(stage.subject, seed=stage.options.seed, rounds=10)


def _four_workers(stage: Stage) -> Report:
    more = [stage.subject.deployment.start_worker() for _ in range(2)]
    report = check_at_once(stage.subject, seed=stage.options.seed, rounds=10)
    for executor in more:
        stage.subject.deployment.workers.pop(executor).stop()
    return report


def _restart(stage: Stage) -> Report:
    assert stage.postgres is not None
    restarts = stage.options.kills // 5
    return restart_postgres(
        stage.subject, stage.postgres, seed=stage.options.seed, restarts=restarts
    )


def _webhooks(stage: Stage) -> Report:
    rounds = max(5, stage.options.kills // 4)
    return trouble_receiver(stage.subject, seed=stage.options.seed, rounds=rounds)


SCENARIOS: dict[str, dict[str, Callable[[Stage], Report]]] = {
    "sqlite": {
        "kill": _kill,
        "freeze": _freeze,
        "api": _kill_api,
        "lock": _lock,
        "full": _fill,
        "webhooks": _webhooks,
    },
    "postgresql": {
        "side-by-side": _two_workers,
        "side-by-side-of-four": _four_workers,
        "stop": _stop,
        "lose-host": _lose_host,
        "lose-host-in-transaction": _lose_host_in_transaction,
        "kill": _kill,
        "api": _kill_api,
        "rolling": _roll,
        "restart": _restart,
        "lock": _lock,
        "full": _fill,
        "freeze": _freeze,
        "webhooks": _webhooks,
    },
}


@contextmanager
def _stage(database: str, options: Options) -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="survival-", ignore_cleanup_errors=True) as name:
        directory, partners, seed = Path(name), options.partners, options.seed
        if database == "sqlite":
            embedded = deployment(
                directory / "run", None, partners=partners, seed=seed, settings=SETTINGS
            )
            with embedded as running, customer(running) as one:
                yield Stage(one, None, options)
            return
        with (
            own_postgres(directory / "postgres") as server,
            deployment(
                directory / "run", server.url, partners=partners, seed=seed, settings=SETTINGS
            ) as running,
            customer(running) as one,
        ):
            yield Stage(one, server, options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play every scenario that was asked for; return 1 where a promise was broken."""
    asked = _parser().parse_args(arguments)
    freezes = asked.kills if asked.freezes is None else asked.freezes
    options = Options(asked.kills, freezes, asked.seed, asked.partners)
    print(f"Survival campaign: {options}\n", flush=True)
    began, broken, played = time.monotonic(), 0, 0
    for database in asked.database or SCENARIOS:
        chosen = [
            name for name in SCENARIOS[database] if name in (asked.only or SCENARIOS[database])
        ]
        with _stage(database, options) as stage:
            for name in chosen:
                report = SCENARIOS[database][name](stage)
                print(f"{report}\n", flush=True)
                broken += len(report.violations)
                played += 1
    seconds = time.monotonic() - began
    print(f"{played} scenarios in {seconds / 60:.0f} minutes, {broken} violations")
    return 1 if broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.survival", description=__doc__)
    add = parser.add_argument
    add("--kills", type=int, default=100, help="of the worker; default %(default)s")
    add("--freezes", type=int, help="of the worker; as many as kills by default")
    add("--seed", type=int, default=1, help="of all that is random; default %(default)s")
    add("--partners", type=int, default=20, help="of the customer; default %(default)s")
    add("--database", action="append", choices=list(SCENARIOS), help="default both")
    names = sorted({name for scenarios in SCENARIOS.values() for name in scenarios})
    add("--only", action="append", choices=names, help="a scenario, can be repeated; default all")
    return parser


if __name__ == "__main__":
    sys.exit(main())
