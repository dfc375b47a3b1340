"""Rotation of keys in a running product, and their loss in a stopped one."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from partner_connector.cli import provision
from tests.journey.caller import Caller, first_with, wait_until
from tests.journey.meta import Json, Meta
from tests.journey.stacks import make_tenant, settings_for, simulated_meta
from tests.support.processes import api_process, run_json

pytestmark = pytest.mark.by_day("postgresql")

Settings = dict[str, str]


@pytest.fixture(scope="module")
def meta(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meta]:
    """Simulated Meta for this file."""
    with simulated_meta(tmp_path_factory.mktemp("meta")) as simulated:
        yield simulated


@pytest.fixture
def operator(meta: Meta, database_url: str, tmp_path: Path) -> Settings:
    """Settings of one process with API and worker, on either database."""
    meta.reset()
    settings = settings_for(meta, tmp_path / "var") | {"DATABASE_URL": database_url}
    provision.generate_keyring(keyring_of(tmp_path))
    return settings


def keyring_of(directory: Path) -> Path:
    """Return the full keyring in the data directory."""
    return directory / "var" / "keyring.json"


@contextmanager
def serving(
    operator: Settings, directory: Path, tenant: Json, meta: Meta, *, name: str
) -> Iterator[Caller]:
    """Run API and worker, and yield a customer; assert at the end that no response was a 500."""
    with api_process(operator, directory, "--with-worker", name=name) as api:
        caller = Caller(api.url, meta, tenant, [])
        try:
            yield caller
        finally:
            caller.close()
        answered = [line for line in api.log.splitlines() if '"event": "request"' in line]
        assert answered != []
        assert [line for line in answered if json.loads(line)["status"] >= 500] == []


@pytest.mark.nightly
def test_keys_are_rotated_in_a_running_product_and_replaced_after_a_loss(
    meta: Meta, operator: Settings, database_url: str, tmp_path: Path
) -> None:
    """Rotate keys in a running product, then lose every private key.

    The rotation needs no restart. The loss is reported everywhere, nothing is overwritten, and new
    tokens connect.
    """
    tenant = make_tenant(operator, tmp_path)
    with serving(operator, tmp_path, tenant, meta, name="before") as caller:
        integration, partners = caller.discover()
        partner = caller.connected(first_with(partners, "agency"))
        rotate_while_it_runs(caller, database_url, tmp_path, integration, partner)
        remove_the_old_key(caller, operator, database_url, tmp_path, partner)

    lose_every_private_key(tmp_path)
    before = stored(database_url)
    assert len(before) == 2
    with serving(operator, tmp_path, tenant, meta, name="after") as caller:
        assert_the_loss_is_reported(caller, integration, partner)
        assert stored(database_url) == before
        reconnect(caller, integration, partner)
        assert set(stored(database_url)).isdisjoint(before)


def rotate_while_it_runs(
    caller: Caller, database_url: str, directory: Path, integration: Json, partner: Json
) -> None:
    """Rotate; the API uses the new key at once, and every token is re-sealed within seconds."""
    for_the_old_key = caller.sealed(caller.meta.token(partner["meta_business_id"]))
    new = provision.rotate_keyring(keyring_of(directory), timedelta(hours=1)).current.key_id
    assert caller.get("/v1/sealing-keys/current")["key_id"] == new
    keys = caller.get("/v1/sealing-keys")["items"]
    assert [(key["key_id"], key["state"]) for key in keys] == [
        (new, "current"),
        (for_the_old_key["key_id"], "retiring"),
    ]
    before = caller.get(f"/v1/partners/{partner['id']}/token")
    wait_until(lambda: {key for key, _ in stored(database_url)}, lambda keys: keys == {new})
    after = caller.get(f"/v1/partners/{partner['id']}/token")
    assert after == before | {"key_id": new}
    caller.check(integration)
    assert caller.users(partner) != []
    # A client that read the sealing key before the rotation.
    assert caller.connect_with(partner, for_the_old_key)["verdict"] == "connectable"
    caller.settle(partner)
    assert caller.get(f"/v1/partners/{partner['id']}/token")["key_id"] == new


def remove_the_old_key(
    caller: Caller, operator: Settings, database_url: str, directory: Path, partner: Json
) -> None:
    """Remove the old key, which is refused as long as clients may seal for it."""
    late = caller.sealed(caller.meta.token(partner["meta_business_id"]))
    old = late["key_id"]
    new = provision.rotate_keyring(keyring_of(directory), timedelta(seconds=1)).current.key_id
    wait_until(lambda: {key for key, _ in stored(database_url)}, lambda keys: keys == {new})
    time.sleep(1)
    run_json("keys", "remove", old, settings=operator, cwd=directory)
    refused = caller.ask("PUT", f"/v1/partners/{partner['id']}/token", json=late)
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_key_id")
    caller.check(partner)


def lose_every_private_key(directory: Path) -> None:
    """Keep only the public half, and create a new keyring."""
    keyring_of(directory).unlink()
    provision.generate_keyring(keyring_of(directory))


def assert_the_loss_is_reported(caller: Caller, integration: Json, partner: Json) -> None:
    """Assert that API keys work, every view answers, and stored users are served."""
    path = f"/v1/partners/{partner['id']}"
    wait_until(lambda: caller.get(f"{path}/token")["health"], lambda found: found == "unreadable")
    assert caller.partner(partner)["onboarding_status"] == "needs_attention"
    assert caller.users(partner) != []
    seen = wait_until(
        lambda: caller.get(f"/v1/integrations/{integration['id']}"),
        lambda found: found["health"] == "attention_required",
    )
    assert [reason["code"] for reason in seen["health_reasons"]] == ["token_unreadable"]
    for owner in (partner, integration):
        job = caller.ended(caller.start_check(owner))
        assert job["status"] == "failed"
        assert job["error"]["code"] == "token_unreadable"
        assert job["error"]["user_action"] == "reconnect_token"


def reconnect(caller: Caller, integration: Json, partner: Json) -> None:
    """Hand over new tokens, which is enough to recover."""
    path = f"/v1/integrations/{integration['id']}"
    body = {"access_token": caller.meta.host()["token"]}
    answer = caller.ask("PUT", f"{path}/token", json=body, headers={"Prefer": "wait=30"})
    assert answer.json()["verdict"] == "connectable"
    assert caller.get(path)["health"] == "healthy"
    assert caller.connect(partner)["verdict"] == "connectable"
    caller.settle(partner)
    assert caller.partner(partner)["onboarding_status"] == "onboarded"
    assert caller.get(f"/v1/partners/{partner['id']}/token")["health"] == "healthy"
    caller.check(integration)


def stored(database_url: str) -> list[tuple[str, bytes]]:
    """Return the key and ciphertext of every token as the database stores them."""
    statement = "SELECT key_id, sealed FROM tokens WHERE sealed IS NOT NULL ORDER BY id"
    rows: list[tuple[Any, ...]]
    if database_url.startswith("postgresql"):
        with psycopg.connect(database_url) as server:
            rows = server.execute(statement).fetchall()
    else:
        file = sqlite3.connect(database_url.removeprefix("sqlite:///"), timeout=30)
        try:
            rows = file.execute(statement).fetchall()
        finally:
            file.close()
    return [(key_id, bytes(sealed)) for key_id, sealed in rows]
