"""Small sample of the campaign (`make survive` plays all of it, with more repetitions).

`make test` plays one kill of the API and three of the process that has the worker.
"""

import pytest

from tests.survival.api_killed import kill_api
from tests.survival.customer import Customer
from tests.survival.kills import kill_workers
from tests.survival.outages import fill_disk, lock_database, restart_postgres
from tests.survival.postgres import OwnPostgres
from tests.survival.report import Report
from tests.survival.rolling import restart_apis
from tests.survival.side_by_side import check_at_once

SEED = 20261124


def assert_no_violation(report: Report) -> None:
    """Assert that the report has no violation."""
    print(report)
    assert report.violations == []


@pytest.mark.nightly
def test_workers_share_the_work_without_overlap(separate: Customer) -> None:
    """Run two workers: each has some runs, and a partner has one run at a time."""
    assert_no_violation(check_at_once(separate, seed=SEED, rounds=2))


@pytest.mark.by_day("embedded")
def test_api_killed_during_a_check_request_makes_one_job(subject: Customer) -> None:
    """Assert that there is one job or none, and that a repeated request gets it."""
    assert_no_violation(kill_api(subject, seed=SEED, kills=1))


@pytest.mark.nightly
def test_full_disk_leaves_nothing_half_applied(subject: Customer) -> None:
    """Assert that the check completes once there is room."""
    assert_no_violation(fill_disk(subject, seed=SEED, seconds=[2.0]))


@pytest.mark.nightly
def test_check_waits_for_a_locked_database(subject: Customer) -> None:
    """Assert that the check continues by itself."""
    assert_no_violation(lock_database(subject, seed=SEED, seconds=[3.0]))


@pytest.mark.nightly
def test_rolling_restart_fails_no_request(separate: Customer) -> None:
    """Assert that every request gets its response, behind a balancer and under load."""
    assert_no_violation(restart_apis(separate, seed=SEED, restarts=2))


@pytest.mark.nightly
def test_embedded_process_survives_kills(embedded: Customer) -> None:
    """Kill the process three times in a check, and compare with an undisturbed run."""
    assert_no_violation(kill_workers(embedded, seed=SEED, kills=3))


@pytest.mark.nightly
def test_check_survives_a_killed_postgresql(separate: Customer, server: OwnPostgres) -> None:
    """Kill the server in the middle of a check, and start it again."""
    assert_no_violation(restart_postgres(separate, server, seed=SEED, restarts=1))
