"""A lean sample of the campaign (`make survive` plays all of it, and more often).

`make test` plays one kill of the API and three of the process that has the worker.
"""

import pytest

from tests.survival.api_killed import kill_api
from tests.survival.blows import kill_workers
from tests.survival.customer import Customer
from tests.survival.outages import fill_disk, lock_database, restart_postgres
from tests.survival.postgres import OwnPostgres
from tests.survival.report import Report
from tests.survival.rolling import restart_apis
from tests.survival.side_by_side import check_at_once

SEED = 20261124


def promised(report: Report) -> None:
    """Nothing of what is promised was broken."""
    print(report)
    assert report.violations == []


@pytest.mark.nightly
def test_workers_share_the_work_and_nobody_does_it_twice(separate: Customer) -> None:
    """Two workers and checks of everything at once: each did some, and of one partner one only."""
    promised(check_at_once(separate, seed=SEED, rounds=2))


@pytest.mark.by_day("embedded")
def test_the_api_may_be_killed_while_it_is_asked_for_a_check(subject: Customer) -> None:
    """One job or none, and whoever asks again gets the one."""
    promised(kill_api(subject, seed=SEED, kills=1))


@pytest.mark.nightly
def test_a_full_disk_leaves_nothing_half_applied(subject: Customer) -> None:
    """The check completes once there is room."""
    promised(fill_disk(subject, seed=SEED, seconds=[2.0]))


@pytest.mark.nightly
def test_a_locked_database_is_waited_for(subject: Customer) -> None:
    """The check goes on by itself."""
    promised(lock_database(subject, seed=SEED, seconds=[3.0]))


@pytest.mark.nightly
def test_two_apis_are_restarted_and_nobody_notices(separate: Customer) -> None:
    """SIGTERM behind a balancer and under load: every request has its answer."""
    promised(restart_apis(separate, seed=SEED, restarts=2))


@pytest.mark.nightly
def test_the_embedded_process_survives_kills(embedded: Customer) -> None:
    """kill -9 three times in a check: as if nothing had happened."""
    promised(kill_workers(embedded, seed=SEED, kills=3))


@pytest.mark.nightly
def test_postgresql_may_be_struck_dead(separate: Customer, server: OwnPostgres) -> None:
    """An immediate end of the server in the middle of a check, and a new start."""
    promised(restart_postgres(separate, server, seed=SEED, restarts=1))
