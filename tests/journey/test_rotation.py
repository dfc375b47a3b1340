"""Keys are rotated under a product that runs, and lost under one that is stopped."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.journey.caller import Caller, first_with, wait_until
from tests.journey.meta import Json, Meta
from tests.journey.stacks import make_tenant, settings_for, simulated_meta
from tests.journey.test_sealed_hand_over import sealed
from tests.support.processes import api_process, run_cli, run_json

Settings = dict[str, str]


@pytest.fixture(scope="module")
def meta(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meta]:
    """A simulated Meta for this file."""
    with simulated_meta(tmp_path_factory.mktemp("meta")) as simulated:
        yield simulated


@pytest.fixture
def operator(meta: Meta, database_url: str, tmp_path: Path) -> Settings:
    """The settings of one process that does everything, on either database."""
    meta.reset()
    settings = settings_for(meta, tmp_path / "var") | {"DATABASE_URL": database_url}
    assert run_cli("keys", "generate", settings=settings, cwd=tmp_path).returncode == 0
    return settings


@contextmanager
def serving(
    operator: Settings, directory: Path, tenant: Json, meta: Meta, *, name: str
) -> Iterator[Caller]:
    """API and worker, and a customer of them. In the end no answer was a 500."""
    with api_process(operator, directory, "--with-worker", name=name) as api:
        caller = Caller(api.url, meta, tenant, [])
        try:
            yield caller
        finally:
            caller.close()
        answered = [line for line in api.log.splitlines() if '"event": "request"' in line]
        assert answered != []
        assert [line for line in answered if json.loads(line)["status"] >= 500] == []


def test_rotated_while_it_runs_and_then_lost(
    meta: Meta, operator: Settings, database_url: str, tmp_path: Path
) -> None:
    """A rotation is taken up without a restart and disturbs nothing. When every private key is
    lost, this is told everywhere, nothing is overwritten, and new tokens connect.
    """
    tenant = make_tenant(operator, tmp_path)
    with serving(operator, tmp_path, tenant, meta, name="before") as caller:
        integration, partners = caller.discover()
        partner = caller.connected(first_with(partners, "agency"))
        rotate_while_it_runs(caller, operator, tmp_path, integration, partner)
        remove_the_old_key(caller, operator, tmp_path, partner)

    lose_every_private_key(operator, tmp_path)
    before = ciphertexts(database_url)
    assert len(before) == 2
    with serving(operator, tmp_path, tenant, meta, name="after") as caller:
        assert_the_loss_is_told(caller, integration, partner)
        assert ciphertexts(database_url) == before
        reconnect(caller, integration, partner)
        assert set(ciphertexts(database_url)).isdisjoint(before)


def rotate_while_it_runs(
    caller: Caller, operator: Settings, directory: Path, integration: Json, partner: Json
) -> None:
    """Seen by the API at once; every token follows within seconds, and works."""
    for_the_old_key = sealed(caller, caller.meta.token(partner["meta_business_id"]))
    rotation = ("keys", "rotate", "--accept-old-for", "1h")
    new = run_json(*rotation, settings=operator, cwd=directory)["key_id"]
    assert caller.get("/v1/sealing-keys/current")["key_id"] == new
    keys = caller.get("/v1/sealing-keys")["items"]
    assert [(key["key_id"], key["state"]) for key in keys] == [
        (new, "current"),
        (for_the_old_key["key_id"], "retiring"),
    ]
    before = caller.get(f"/v1/partners/{partner['id']}/token")
    wait_until(lambda: tokens_by_key(operator, directory)[new], lambda number: number == 2)
    after = caller.get(f"/v1/partners/{partner['id']}/token")
    assert after == before | {"key_id": new}
    caller.check(integration)
    assert caller.users(partner) != []
    # A client that had fetched the key before it was rotated.
    assert caller.connect_with(partner, for_the_old_key)["verdict"] == "connectable"
    caller.settle(partner)
    assert caller.get(f"/v1/partners/{partner['id']}/token")["key_id"] == new


def remove_the_old_key(caller: Caller, operator: Settings, directory: Path, partner: Json) -> None:
    """Refused while clients may seal for it; once it is gone, what was sealed for it is refused."""
    late = sealed(caller, caller.meta.token(partner["meta_business_id"]))
    run_json("keys", "rotate", "--accept-old-for", "1s", settings=operator, cwd=directory)
    wait_until(
        lambda: tokens_by_key(operator, directory)[late["key_id"]], lambda number: not number
    )
    wait_until(
        lambda: run_cli("keys", "remove", late["key_id"], settings=operator, cwd=directory),
        lambda done: done.returncode == 0,
    )
    assert late["key_id"] not in tokens_by_key(operator, directory)
    refused = caller.ask("PUT", f"/v1/partners/{partner['id']}/token", json=late)
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_key_id")
    caller.check(partner)


def lose_every_private_key(operator: Settings, directory: Path) -> None:
    """What is left is the public half; a new keyring is made beside it."""
    (directory / "var" / "keyring.json").unlink()
    run_json("keys", "generate", settings=operator, cwd=directory)


def assert_the_loss_is_told(caller: Caller, integration: Json, partner: Json) -> None:
    """The same API key works, every view answers, and what is stored of people is still served."""
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
    """New tokens are all it takes."""
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


def tokens_by_key(operator: Settings, directory: Path) -> dict[str, int]:
    """As the operator is told."""
    told = run_json("keys", "status", settings=operator, cwd=directory)["keys"]
    return {key["key_id"]: key["tokens"] for key in told}


def ciphertexts(database_url: str) -> list[bytes]:
    """What lies in the database, past the product."""
    statement = "SELECT sealed FROM tokens WHERE sealed IS NOT NULL ORDER BY id"
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
    return [bytes(row[0]) for row in rows]
