"""The recipes of the how-to pages: their commands restore what was lost."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.journey import truth
from tests.journey.caller import Caller, first_with, wait_until
from tests.journey.meta import Json, Meta
from tests.journey.stacks import Stack, make_tenant, settings_for, simulated_meta
from tests.support.databases import PostgresTemplate
from tests.support.processes import api_process, worker_process
from tests.support.recipes import Shell, recipe

SLOW = 0.5


@pytest.mark.parametrize("stack", ["separate"], indirect=True)
@pytest.mark.nightly
def test_postgresql_is_backed_up_and_restored(
    stack: Stack, caller: Caller, tmp_path: Path, postgres: PostgresTemplate
) -> None:
    """Restore a backup that was taken during a check.

    The restored deployment completes the check, with the keys of the backup, and has all users.
    """
    _, partners = caller.discover()
    partner = caller.connected(first_with(partners, "both"))
    caller.meta.latency(SLOW)
    job = caller.start_check(partner)
    wait_until(lambda: caller.job(job)["status"], lambda status: status == "running")
    shell = Shell(tmp_path, stack.operator)
    (tmp_path / "backup").mkdir()
    shell.follow(*recipe("PostgreSQL")[:2])
    caller.meta.latency(0.0)
    caller.ended(job)

    with postgres.empty() as url:
        shell.known["RESTORED_URL"] = url
        shell.follow(*recipe("PostgreSQL")[2:])
        keyring = {"KEYRING_FILE": str(tmp_path / "backup" / "keyring.json"), "DATABASE_URL": url}
        worker = {**stack.operator, **keyring}
        shutil.copy(stack.directory / "api" / "keyring.public.json", tmp_path)
        public = {"KEYRING_FILE": str(tmp_path / "keyring.public.json")}
        with (
            api_process({**worker, **public}, tmp_path) as api,
            worker_process(worker, tmp_path),
        ):
            tenant = {"workspace_id": caller.workspace_id, "api_key": caller.api_key}
            with closing(Caller(api.url, caller.meta, tenant, [])) as restored:
                assert restored.job(job)["status"] in {"running", "completed"}
                assert restored.ended(job)["status"] == "completed"
                assert_true(restored, partner)


@pytest.mark.nightly
def test_sqlite_is_restored_and_lost_keys_are_replaced(tmp_path: Path) -> None:
    """Cancel a stuck job, back up and restore the file, and lose the keyring.

    The job is started again. The backup is taken while the process serves. After the loss every
    token is handed over again.
    """
    with simulated_meta(tmp_path) as meta:
        settings = settings_for(meta, tmp_path / "var")
        shell = Shell(tmp_path, settings)
        (tmp_path / "backup").mkdir()
        back_up, restore = recipe("SQLite")[:2], recipe("SQLite")[2:]
        tenant = make_tenant(settings, tmp_path)
        with served(shell, meta, settings, tenant) as caller:
            integration, partners = caller.discover()
            partner = caller.connected(first_with(partners, "agency"))
            shell.known = {
                "KEY": caller.api_key,
                "INTEGRATION": integration["id"],
                "PARTNER": partner["id"],
                "OUR_TOKEN": meta.host()["token"],
                "THEIR_TOKEN": meta.token(partner["meta_business_id"]),
            }
            end_a_stuck_job(shell, caller, partner)
            shell.follow(*back_up)
        shell.follow(*restore)

        settings = settings_for(meta, tmp_path / "restored")
        with served(shell, meta, settings, tenant) as caller:
            assert_true(caller, partner)
            caller.check(partner)

        (tmp_path / "restored" / "keyring.json").unlink()
        generate, status, check, look, *hand_over = recipe("When the keyring is lost")
        shell.follow(generate, status, check)
        with served(shell, meta, settings, tenant) as caller:
            needs_attention = {"onboarding_status": "needs_attention"}
            wait_until(lambda: caller.partners(**needs_attention), bool)
            shell.follow(look, *hand_over)
            caller.settle(partner)
            assert caller.partner(partner)["onboarding_status"] == "onboarded"
            assert_true(caller, partner)


@contextmanager
def served(shell: Shell, meta: Meta, settings: Mapping[str, str], tenant: Json) -> Iterator[Caller]:
    """Run one process on SQLite, and yield a customer of it."""
    name = f"api-{len(list(shell.directory.glob('api-*.log')))}"
    with (
        api_process(settings, shell.directory, "--with-worker", name=name) as api,
        closing(Caller(api.url, meta, tenant, [])) as caller,
    ):
        shell.api_url = api.url
        yield caller


def end_a_stuck_job(shell: Shell, caller: Caller, partner: Json) -> None:
    """End a slow job as the page describes."""
    caller.meta.latency(SLOW)
    caller.start_check(partner)
    find, follow, cancel, again = recipe("A job does not finish")
    (stuck,) = json.loads(shell.follow(find))["items"]
    shell.known["JOB"] = stuck["id"]
    shell.follow(follow, cancel)
    caller.meta.latency(0.0)
    started = json.loads(shell.follow(again))
    assert started["id"] != stuck["id"]
    assert caller.ended(started)["status"] == "completed"
    assert caller.job(stuck)["status"] == "cancelled"


def assert_true(caller: Caller, partner: Json) -> None:
    """Assert that the partner has users, and that they are those of Meta."""
    users = truth.shown_users(caller.users(partner))
    assert users == truth.users(caller.meta.partner(partner["meta_business_id"]))
    assert users
