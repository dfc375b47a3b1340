"""`check` as an operator runs it: beside running, dead and outdated processes."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.databases import PostgresTemplate
from tests.support.processes import Running, graph_simulator, run_cli, worker_process

Findings = dict[str, tuple[str, str]]


@pytest.fixture
def meta(tmp_path: Path) -> Iterator[Running]:
    """A reachable Graph API."""
    with graph_simulator(tmp_path) as running:
        yield running


def checked(settings: Mapping[str, str], cwd: Path) -> tuple[int, Findings]:
    """Return the exit code, and status and detail of each finding."""
    done = run_cli("check", "--json", settings=settings, cwd=cwd)
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["ok"] == (done.returncode == 0)
    findings = {each["name"]: (each["status"], each["detail"]) for each in document["checks"]}
    assert len(findings) == len(document["checks"])
    return done.returncode, findings


def statuses(findings: Findings) -> dict[str, str]:
    """Return the status of each finding."""
    return {name: status for name, (status, _) in findings.items()}


def test_check_of_an_embedded_deployment(tmp_path: Path, meta: Running) -> None:
    """Fail before the database exists, without creating it, and pass after `migrate`."""
    settings = {"DATA_DIR": str(tmp_path / "data"), "GRAPH_BASE_URL": meta.url}
    (tmp_path / "data").mkdir()
    code, found = checked(settings, tmp_path)
    assert code == 1
    assert statuses(found) == {
        "database": "fail",
        "keys": "fail",
        "meta": "ok",
        "clock": "ok",
    }
    assert "does not exist yet" in found["database"][1]
    assert "partner-connector migrate" in found["database"][1]
    assert "partner-connector keys generate" in found["keys"][1]
    assert list((tmp_path / "data").iterdir()) == []
    for command in (("migrate",), ("keys", "generate")):
        assert run_cli(*command, settings=settings, cwd=tmp_path).returncode == 0
    code, found = checked(settings, tmp_path)
    assert code == 0, found
    assert set(statuses(found).values()) == {"ok"}
    assert list(found) == [
        "database",
        "migrations",
        "engine",
        "queue",
        "keys",
        "tokens",
        "webhook_secrets",
        "meta",
        "clock",
    ]
    assert found["queue"][1] == "queued: 0; running: 0; for later: 0"
    plain = run_cli("check", settings=settings, cwd=tmp_path).stdout
    assert [line.split()[:2] for line in plain.splitlines()] == [
        ["ok", name] for name in statuses(found)
    ]


@pytest.mark.nightly
def test_check_of_a_deployment_with_workers(
    tmp_path: Path, meta: Running, postgres: PostgresTemplate
) -> None:
    """Pass with a running worker; fail with a dead worker, and with outdated engine tables."""
    with postgres.clone() as url, psycopg.connect(url, autocommit=True) as database:
        settings = {
            "DATA_DIR": str(tmp_path / "data"),
            "DATABASE_URL": url,
            "GRAPH_BASE_URL": meta.url,
        }
        assert run_cli("keys", "generate", settings=settings, cwd=tmp_path).returncode == 0
        code, found = checked(settings, tmp_path)
        assert (code, found["workers"][0]) == (0, "warn")
        assert found["database_clock"] == ("ok", "0 s away from the database's")
        with worker_process(settings, tmp_path) as worker:
            code, found = checked(settings, tmp_path)
            assert code == 0
            assert found["workers"][0] == "ok"
            assert found["workers"][1].startswith("1 alive, last heartbeat ")
            worker.kill()

        database.execute("UPDATE executors SET beat_at = beat_at - interval '1 minute'")
        database.execute(
            "INSERT INTO dbos.workflow_status (workflow_uuid, status, priority, created_at) "
            "SELECT 'x' || n, 'ENQUEUED', 0, "
            "(EXTRACT(EPOCH FROM now()) * 1000)::bigint - 700000 * n FROM generate_series(1, 2) n"
        )
        code, found = checked(settings, tmp_path)
        assert code == 1
        assert found["workers"] == (
            "fail",
            "no worker is alive, 2 runs are waiting: start `partner-connector worker`",
        )
        assert found["queue"][0] == "warn"
        assert found["queue"][1].startswith("queued: 2, the first for 140")

        database.execute("UPDATE dbos.dbos_migrations SET version = 3")
        code, found = checked(settings, tmp_path)
        assert (code, found["engine"][0], "queue" in found) == (1, "fail", False)
        assert "its tables are at 3 of " in found["engine"][1]


def test_check_of_an_unreachable_database(tmp_path: Path) -> None:
    """Fail without hanging, name the settings to check, and show nothing of the URL."""
    settings = {
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": "postgresql://someone:canary@127.0.0.1:9/x",
        "GRAPH_BASE_URL": "http://127.0.0.1:9",
    }
    code, found = checked(settings, tmp_path)
    assert code == 1
    assert statuses(found) == {"database": "fail", "keys": "fail", "meta": "fail"}
    assert "PARTNER_CONNECTOR_DATABASE_URL" in found["database"][1]
    assert "PARTNER_CONNECTOR_GRAPH_BASE_URL" in found["meta"][1]
    assert "canary" not in str(found)
