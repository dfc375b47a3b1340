"""Processes that are killed or stopped in the middle of a check for updates."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from partner_connector.ids import decode
from tests.journey import truth
from tests.journey.caller import FINAL, Caller, first_with, wait_until
from tests.journey.canaries import files_of, search
from tests.journey.following import Following
from tests.journey.meta import Json, Meta
from tests.journey.stacks import Stack, make_tenant, settings_for, simulated_meta
from tests.support.processes import Running, api_process

SLOW = 0.8
UNDER_WAY = {"listing_assets", "listing_people", "reading_access"}
STOPS_WITHIN_SECONDS = 10.0
HANDED_OVER_WITHIN_SECONDS = 2.0
TAKEN_OVER_WITHIN_SECONDS = 60.0

Record = Callable[[str, object], None]


def test_embedded_process_continues_its_job_after_kill_and_sigterm(
    tmp_path: Path, record_property: Record
) -> None:
    """Killed, restarted, stopped and restarted during one check: the same job completes."""
    kept: list[bytes] = []
    with simulated_meta(tmp_path) as meta:
        settings = settings_for(meta, tmp_path / "var")
        with api_process(settings, tmp_path, "--with-worker", name="first") as api:
            tenant = make_tenant(settings, tmp_path)
            caller = Caller(api.url, meta, tenant, kept)
            integration, partners = caller.discover()
            partner = caller.connected(first_with(partners, "both"))
            change_something(meta, partner)
            job = running_check(caller, integration, partner)
            cut_off = Following(api.url, caller, job)
            wait_until(lambda: cut_off.events, bool)
            api.kill()
            cut_off.stop()
            caller.close()

        with api_process(settings, tmp_path, "--with-worker", name="second") as api:
            caller = Caller(api.url, meta, tenant, kept)
            assert caller.job(job)["status"] == "running"
            caller.close()
            seconds, code = stopped(api)
        record_property("sigterm_of_serve_seconds", seconds)
        print(f"SIGTERM of `serve --with-worker` mid-check: {seconds:.1f} s, exit code {code}")
        meta.latency(0.0)

        with api_process(settings, tmp_path, "--with-worker", name="third") as api:
            caller = Caller(api.url, meta, tenant, kept)
            cut_off = Following(api.url, caller, job, after=cut_off.events)
            assert_completed(caller, partner, caller.ended(job))
            assert cut_off.all_events() == caller.everything(f"/v1/sync-jobs/{job['id']}/events")
            caller.close()
            idle_seconds, idle_code = stopped(api)
        print(f"SIGTERM of an idle `serve --with-worker`: {idle_seconds:.1f} s, {idle_code}")
        # A killed process leaves its files without a cleanup.
        assert search(meta.tokens(), dict(files_of(tmp_path))) == []
    assert (code, idle_code) == (0, 0)
    assert max(seconds, idle_seconds) < STOPS_WITHIN_SECONDS


@pytest.mark.parametrize("stack", ["separate"], indirect=True)
def test_stopped_worker_hands_its_job_over(
    stack: Stack, caller: Caller, record_property: Record
) -> None:
    """Assert that the worker ends within two seconds of SIGTERM, and the other one continues."""
    integration, partners = caller.discover()
    partner = caller.connected(first_with(partners, "both"))
    change_something(caller.meta, partner)
    job = running_check(caller, integration, partner)
    executor = executor_of(stack, job)
    worker = stack.workers.pop(executor or "")

    started = time.monotonic()
    worker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: executor_of(stack, job), lambda now: now not in {None, executor})
    handed_over = time.monotonic() - started
    code = worker.process.wait(timeout=30)
    stopped_after = time.monotonic() - started

    caller.meta.latency(0.0)
    assert_completed(caller, partner, caller.ended(job))
    stack.add_worker()
    record_property("sigterm_of_worker_seconds", stopped_after)
    print(f"SIGTERM of `worker` mid-check: handed over in {handed_over:.2f} s,")
    print(f"ended in {stopped_after:.2f} s with {code}")
    assert code == 0
    assert max(handed_over, stopped_after) < HANDED_OVER_WITHIN_SECONDS


@pytest.mark.parametrize("stack", ["separate"], indirect=True)
def test_job_of_a_killed_worker_is_recovered(
    stack: Stack, caller: Caller, record_property: Record
) -> None:
    """Assert that another worker completes the check after kill -9, and nothing is lost."""
    integration, partners = caller.discover()
    partner = caller.connected(first_with(partners, "both"))
    change_something(caller.meta, partner)
    job = running_check(caller, integration, partner)
    followed = Following(stack.api.url, caller, job)

    stack.workers.pop(executor_of(stack, job) or "").kill()

    caller.meta.latency(0.0)
    started = time.monotonic()
    done = caller.ended(job, seconds=TAKEN_OVER_WITHIN_SECONDS)
    taken_over = time.monotonic() - started
    record_property("takeover_seconds", taken_over)
    print(f"the job of a killed worker was completed {taken_over:.1f} s later")
    assert_completed(caller, partner, done)
    assert followed.all_events() == caller.everything(f"/v1/sync-jobs/{job['id']}/events")
    stack.add_worker()


def change_something(meta: Meta, partner: Json) -> None:
    """Change Meta so that the check adds, changes and removes a user."""
    business_id = partner["meta_business_id"]
    known = truth.users(meta.partner(business_id))
    leaver, changed = [
        user_id for user_id, user in sorted(known.items()) if user["kind"] == "person"
    ][:2]
    meta.mutate("leave", person=leaver)
    meta.mutate("rename", id=changed, name=f"Changed {time.monotonic_ns()}")
    meta.mutate("join", partner=business_id)


def running_check(caller: Caller, integration: Json, partner: Json) -> Json:
    """Return the child job of a check for updates in the middle of its reading."""
    caller.meta.latency(SLOW)
    parent = caller.start_check(integration)
    children = wait_until(lambda: caller.children(parent), bool)
    child = children[partner["id"]]
    seen = wait_until(
        lambda: caller.job(child),
        lambda job: job["progress"]["phase"] in UNDER_WAY or job["status"] in FINAL,
    )
    assert seen["status"] == "running", seen
    return {**seen, "parent_id": parent["id"]}


def assert_completed(caller: Caller, partner: Json, job: Json) -> None:
    """Assert that job and parent completed at the first attempt, with the users of Meta."""
    assert job["status"] == "completed", job
    assert job["attempt"] == 1
    assert job["partial"] is False
    counts = job["counts"]
    assert (counts["added"], counts["changed"], counts["removed"]) == (1, 1, 1), counts
    parent = caller.ended({"id": job["parent_id"]})
    assert parent["status"] == "completed"
    known = caller.meta.partner(partner["meta_business_id"])
    assert truth.shown_users(caller.users(partner)) == truth.users(known)
    assert caller.partner(partner)["onboarding_status"] == "onboarded"


def stopped(running: Running) -> tuple[float, int]:
    """Send SIGTERM; return the seconds to the end and the exit code."""
    started = time.monotonic()
    code = running.stop(timeout=30)
    return time.monotonic() - started, code


def executor_of(stack: Stack, job: Json) -> str | None:
    """Return the worker that runs this job by the engine's record; None while it is queued."""
    assert stack.database_url is not None
    workflow_id = f"{job['task']}:{decode('job', job['id'])}:{job['attempt']}"
    with psycopg.connect(stack.database_url) as server:
        row = server.execute(
            "SELECT executor_id FROM dbos.workflow_status "
            "WHERE workflow_uuid = %s AND status = 'PENDING'",
            [workflow_id],
        ).fetchone()
    return None if row is None else str(row[0])
