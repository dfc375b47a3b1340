"""`/metrics`: what a process counted, and what it saw of the deployment."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, text
from sqlalchemy.exc import SQLAlchemyError

from partner_connector.api.app import create_app
from partner_connector.clock import now
from partner_connector.db import state_metrics
from partner_connector.db.engine import Database
from partner_connector.db.models import Base
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from partner_connector.telemetry import metrics
from tests.api import rows
from tests.api.world import World
from tests.support.clients import client_of, running

pytestmark = pytest.mark.by_day("sqlite")

DOCS = Path(__file__).parents[2] / "docs"
PREFIX = "partner_connector_"
TABLES = set(Base.metadata.tables)
OUR_NAMES = re.compile(rf"{PREFIX}[a-z_]+")


def samples(exposition: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Values by name and labels; Prometheus' own parser reads them."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


def labelled(**labels: str) -> frozenset[tuple[str, str]]:
    """Labels as `samples` has them."""
    return frozenset(labels.items())


async def told(client: httpx.AsyncClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """What is served now."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return samples(answer.text)


async def test_requests_are_counted_by_template(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, world: World
) -> None:
    """By route and not by path, so that no id is told and no path makes a series of its own."""
    route = "/v1/partners/{partner_id}"
    counted = (f"{PREFIX}http_requests_total", labelled(method="GET", route=route, status="200"))
    timed = (f"{PREFIX}http_request_duration_seconds_count", labelled(method="GET", route=route))
    before = await told(anonymous)
    await api.get(f"/v1/partners/{world.ids['ptn']}")
    await api.get("/nowhere/at/all")
    after = await told(anonymous)
    assert after[counted] == before.get(counted, 0) + 1
    assert after[timed] == before.get(timed, 0) + 1
    names = {label for _, labels in after for label in labels}
    assert ("route", "(unknown)") in names
    assert not any(world.ids["ptn"] in value or "nowhere" in value for _, value in names)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_callers_make_up_makes_no_series(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    """Anybody may send a method that nobody knows, and there are endlessly many of them."""
    before = len(await told(anonymous))
    for number in range(50):
        await anonymous.request(f"BREW{number}", "/v1/partners")
        await anonymous.request("BREW", f"/v1/partners/{number}")
    after = await told(anonymous)
    assert len(after) < before + 80
    assert not any("BREW" in value for _, labels in after for _, value in labels)
    other = labelled(method="other", route="/v1/partners", status="405")
    assert (f"{PREFIX}http_requests_total", other) in after


async def test_the_deployment_is_looked_up_by_indexes(
    anonymous: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Jobs that are not done, the age of the queue, tokens by health."""
    waiting = rows.partner(world.integration)
    queued = rows.sync_job(waiting, status="queued", created_at=now() - timedelta(minutes=5))
    for row in (waiting, queued, rows.sync_job(waiting, status="completed")):
        await rows.store(database, row)
    await state_metrics.look(database)
    seen = await told(anonymous)
    jobs = {
        dict(labels)["status"]: value
        for (name, labels), value in seen.items()
        if name == f"{PREFIX}sync_jobs"
    }
    assert jobs == {"queued": 1, "running": 0, "waiting": 0, "halted": 1}
    age = seen[f"{PREFIX}oldest_queued_sync_job_age_seconds", frozenset()]
    assert 300 <= age < 330
    tokens = {
        dict(labels)["health"]: value
        for (name, labels), value in seen.items()
        if name == f"{PREFIX}tokens"
    }
    assert sum(tokens.values()) == await active_tokens(database)
    assert seen[f"{PREFIX}database_up", frozenset()] == 1


async def test_what_webhooks_owe(
    anonymous: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Events without a place, and messages to endpoints that are enabled, with the oldest of each;
    where there are none their age is 0.
    """
    await state_metrics.look(database)
    names = (
        "webhook_events_waiting",
        "oldest_waiting_webhook_event_age_seconds",
        "webhook_deliveries_pending",
        "oldest_pending_webhook_delivery_age_seconds",
    )
    seen = await told(anonymous)
    assert [seen[f"{PREFIX}{name}", frozenset()] for name in names] == [0, 0, 0, 0]

    workspace_id = world.partner.workspace_id
    hook = rows.webhook_endpoint(workspace_id)
    closed = rows.webhook_endpoint(workspace_id, status="disabled")
    an_hour_ago, a_day_ago = now() - timedelta(hours=1), now() - timedelta(days=1)
    waiting = [
        rows.webhook_event(world.partner, sequence=None, message_id=None, occurred_at=at)
        for at in (an_hour_ago, now(), now())
    ]
    placed = [rows.webhook_event(world.partner) for _ in range(5)]
    sent = [
        rows.webhook_delivery(placed[0], hook, queued_at=an_hour_ago),
        rows.webhook_delivery(placed[1], hook, queued_at=now()),
        rows.webhook_delivery(placed[2], hook, status="delivered", queued_at=a_day_ago),
        rows.webhook_delivery(placed[3], hook, status="dead_lettered", queued_at=a_day_ago),
        rows.webhook_delivery(placed[4], closed, queued_at=a_day_ago),
    ]
    waiting.sort(key=lambda each: each.occurred_at)
    for number, each in enumerate(waiting):
        each.id = number + 1
    await rows.store(database, hook, closed, *waiting, *placed, *sent)
    await state_metrics.look(database)
    seen = await told(anonymous)
    events, event_age, pending, age = (seen[f"{PREFIX}{name}", frozenset()] for name in names)
    assert (events, pending) == (3, 2)
    assert 3600 <= event_age < 3630
    assert 3600 <= age < 3630


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_looking_reads_no_row_that_it_does_not_need(database: Database) -> None:
    """What the database says of its plans: no table is read from end to end."""
    statements: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        statements.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    await state_metrics.look(database)
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    asked = [each for each in statements if each[0].startswith("SELECT")]
    assert len(asked) == 5
    async with database.engine.connect() as connection:
        for statement, parameters in asked:
            explained = await connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", parameters
            )
            for *_, step in explained:
                assert not re.fullmatch(r"SCAN \w+", step) or step.split()[1] not in TABLES, step


async def active_tokens(database: Database) -> int:
    """As counted plainly."""
    async with database.reading() as session:
        counted = await session.scalar(text("SELECT count(*) FROM tokens WHERE state = 'active'"))
    assert counted
    return int(counted)


async def test_a_database_that_is_away_is_told(
    anonymous: httpx.AsyncClient, database: Database
) -> None:
    """The rest stays as it was, and the answer still comes."""
    async with database.writing() as session:
        await session.execute(text("DROP TABLE sync_job_events"))
        await session.execute(text("DROP TABLE planned_changes"))
        await session.execute(text("ALTER TABLE sync_jobs RENAME TO elsewhere"))
    with pytest.raises(SQLAlchemyError):
        await state_metrics.look(database)
    assert (await told(anonymous))[f"{PREFIX}database_up", frozenset()] == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_port_of_its_own_takes_it_away_from_here(
    settings: Settings, keyring: PublicKeyring
) -> None:
    """The internet-facing port has nothing there then."""
    elsewhere = settings.model_copy(update={"metrics_port": 9109})
    async with running(create_app(elsewhere, keyring)) as app, client_of(app, "") as client:
        assert (await client.get("/metrics")).status_code == 404


def known_names() -> set[str]:
    """Every name that can be scraped, those of histograms among them."""
    kinds = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
    return {
        f"{family.name}{ending}"
        for family in metrics.REGISTRY.collect()
        for ending in kinds[family.type]
    }


@pytest.mark.parametrize("page", ["grafana-dashboard.json", "alerts.yaml"])
def test_dashboard_and_alerts_name_what_there_is(page: str) -> None:
    """A metric that is renamed must not leave a silent alert behind."""
    named = set(OUR_NAMES.findall((DOCS / "samples" / page).read_text(encoding="utf-8")))
    assert len(named) >= 6
    assert named <= known_names()


def test_the_page_lists_every_metric() -> None:
    """And nothing else; those of the process are one line."""
    page = (DOCS / "metrics.md").read_text(encoding="utf-8")
    listed = set(re.findall(rf"^\| `({PREFIX}[a-z_]+)`", page, flags=re.MULTILINE))
    ours = {
        name.removesuffix("_bucket")
        for name in known_names()
        if not name.startswith(f"{PREFIX}process_") and not name.endswith(("_count", "_sum"))
    }
    assert listed == ours


def test_the_dashboard_can_be_imported() -> None:
    """Each panel asks something of the data source that is chosen on import."""
    dashboard = json.loads((DOCS / "samples" / "grafana-dashboard.json").read_text("utf-8"))
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(target["expr"] for target in panel["targets"])
