"""`/metrics`: counters of the process and gauges of the deployment."""

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
    """Parse an exposition with Prometheus' own parser into values by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


def labelled(**labels: str) -> frozenset[tuple[str, str]]:
    """Return labels in the form of the keys of `samples`."""
    return frozenset(labels.items())


async def scrape(client: httpx.AsyncClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return the samples that `/metrics` serves now."""
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return samples(answer.text)


async def test_requests_are_counted_by_route_template(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, world: World
) -> None:
    """Expect no id in a label and no series for each path."""
    route = "/v1/partners/{partner_id}"
    counted = (f"{PREFIX}http_requests_total", labelled(method="GET", route=route, status="200"))
    timed = (f"{PREFIX}http_request_duration_seconds_count", labelled(method="GET", route=route))
    before = await scrape(anonymous)
    await api.get(f"/v1/partners/{world.ids['ptn']}")
    await api.get("/nowhere/at/all")
    after = await scrape(anonymous)
    assert after[counted] == before.get(counted, 0) + 1
    assert after[timed] == before.get(timed, 0) + 1
    names = {label for _, labels in after for label in labels}
    assert ("route", "(unknown)") in names
    assert not any(world.ids["ptn"] in value or "nowhere" in value for _, value in names)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_invented_methods_and_paths_add_no_series(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    """Send methods and paths that a caller can invent without end."""
    before = len(await scrape(anonymous))
    for number in range(50):
        await anonymous.request(f"BREW{number}", "/v1/partners")
        await anonymous.request("BREW", f"/v1/partners/{number}")
    after = await scrape(anonymous)
    assert len(after) < before + 80
    assert not any("BREW" in value for _, labels in after for _, value in labels)
    other = labelled(method="other", route="/v1/partners", status="405")
    assert (f"{PREFIX}http_requests_total", other) in after


async def test_gauges_show_open_jobs_queue_age_and_tokens_by_health(
    anonymous: httpx.AsyncClient, database: Database, world: World
) -> None:
    partner = rows.partner(world.integration)
    queued = rows.sync_job(partner, status="queued", created_at=now() - timedelta(minutes=5))
    for row in (partner, queued, rows.sync_job(partner, status="completed")):
        await rows.store(database, row)
    await state_metrics.refresh_gauges(database)
    scraped = await scrape(anonymous)
    jobs = {
        dict(labels)["status"]: value
        for (name, labels), value in scraped.items()
        if name == f"{PREFIX}sync_jobs"
    }
    assert jobs == {"queued": 1, "running": 0, "waiting": 0, "halted": 1}
    age = scraped[f"{PREFIX}oldest_queued_sync_job_age_seconds", frozenset()]
    assert 300 <= age < 330
    tokens = {
        dict(labels)["health"]: value
        for (name, labels), value in scraped.items()
        if name == f"{PREFIX}tokens"
    }
    assert sum(tokens.values()) == await active_tokens(database)
    assert scraped[f"{PREFIX}database_up", frozenset()] == 1


async def test_gauges_show_waiting_events_and_pending_deliveries(
    anonymous: httpx.AsyncClient, database: Database, world: World
) -> None:
    """Count events without a sequence and pending deliveries to enabled endpoints.

    The age of the oldest is 0 where nothing waits.
    """
    await state_metrics.refresh_gauges(database)
    names = (
        "webhook_events_waiting",
        "oldest_waiting_webhook_event_age_seconds",
        "webhook_deliveries_pending",
        "oldest_pending_webhook_delivery_age_seconds",
    )
    scraped = await scrape(anonymous)
    assert [scraped[f"{PREFIX}{name}", frozenset()] for name in names] == [0, 0, 0, 0]

    workspace_id = world.partner.workspace_id
    hook = rows.webhook_endpoint(workspace_id)
    disabled = rows.webhook_endpoint(workspace_id, status="disabled")
    hour_ago, day_ago = now() - timedelta(hours=1), now() - timedelta(days=1)
    waiting = [
        rows.webhook_event(world.partner, sequence=None, message_id=None, occurred_at=at)
        for at in (hour_ago, now(), now())
    ]
    sequenced = [rows.webhook_event(world.partner) for _ in range(5)]
    sent = [
        rows.webhook_delivery(sequenced[0], hook, queued_at=hour_ago),
        rows.webhook_delivery(sequenced[1], hook, queued_at=now()),
        rows.webhook_delivery(sequenced[2], hook, status="delivered", queued_at=day_ago),
        rows.webhook_delivery(sequenced[3], hook, status="dead_lettered", queued_at=day_ago),
        rows.webhook_delivery(sequenced[4], disabled, queued_at=day_ago),
    ]
    waiting.sort(key=lambda each: each.occurred_at)
    for number, each in enumerate(waiting):
        each.id = number + 1
    await rows.store(database, hook, disabled, *waiting, *sequenced, *sent)
    await state_metrics.refresh_gauges(database)
    scraped = await scrape(anonymous)
    events, event_age, pending, age = (scraped[f"{PREFIX}{name}", frozenset()] for name in names)
    assert (events, pending) == (3, 2)
    assert 3600 <= event_age < 3630
    assert 3600 <= age < 3630


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_refresh_of_gauges_scans_no_table(database: Database) -> None:
    """Read SQLite's query plans and refuse a full scan of a table."""
    statements: list[tuple[str, Any]] = []

    def record_statement(
        _: object, __: object, statement: str, parameters: Any, *___: object
    ) -> None:
        statements.append((statement, parameters))

    event.listen(database.engine.sync_engine, "before_cursor_execute", record_statement)
    await state_metrics.refresh_gauges(database)
    event.remove(database.engine.sync_engine, "before_cursor_execute", record_statement)
    selects = [each for each in statements if each[0].startswith("SELECT")]
    assert len(selects) == 5
    async with database.engine.connect() as connection:
        for statement, parameters in selects:
            explained = await connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", parameters
            )
            for *_, step in explained:
                assert not re.fullmatch(r"SCAN \w+", step) or step.split()[1] not in TABLES, step


async def active_tokens(database: Database) -> int:
    """Count the active tokens with plain SQL."""
    async with database.reading() as session:
        counted = await session.scalar(text("SELECT count(*) FROM tokens WHERE state = 'active'"))
    assert counted
    return int(counted)


async def test_failed_refresh_reports_database_down(
    anonymous: httpx.AsyncClient, database: Database
) -> None:
    """Expect `/metrics` to answer, with the other values unchanged."""
    async with database.writing() as session:
        await session.execute(text("DROP TABLE sync_job_events"))
        await session.execute(text("DROP TABLE planned_changes"))
        await session.execute(text("ALTER TABLE sync_jobs RENAME TO sync_jobs_gone"))
    with pytest.raises(SQLAlchemyError):
        await state_metrics.refresh_gauges(database)
    assert (await scrape(anonymous))[f"{PREFIX}database_up", frozenset()] == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_metrics_port_removes_metrics_from_the_api_port(
    settings: Settings, keyring: PublicKeyring
) -> None:
    """Expect 404 on the internet-facing port when `metrics_port` is set."""
    with_metrics_port = settings.model_copy(update={"metrics_port": 9109})
    async with running(create_app(with_metrics_port, keyring)) as app, client_of(app, "") as client:
        assert (await client.get("/metrics")).status_code == 404


def known_names() -> set[str]:
    """Return every name that can be scraped, including those of histograms."""
    kinds = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
    return {
        f"{family.name}{ending}"
        for family in metrics.REGISTRY.collect()
        for ending in kinds[family.type]
    }


@pytest.mark.parametrize("page", ["grafana-dashboard.json", "alerts.yaml"])
def test_dashboard_and_alerts_name_existing_metrics(page: str) -> None:
    """Refuse unknown names: a renamed metric must not leave an alert that never fires."""
    named = set(OUR_NAMES.findall((DOCS / "samples" / page).read_text(encoding="utf-8")))
    assert len(named) >= 6
    assert named <= known_names()


def test_metrics_page_lists_exactly_the_metrics() -> None:
    """Compare the page with the registry; the process metrics share one line of the page."""
    page = (DOCS / "reference" / "metrics-and-logs.md").read_text(encoding="utf-8")
    listed = set(re.findall(rf"^\| `({PREFIX}[a-z_]+)`", page, flags=re.MULTILINE))
    expected = {
        name.removesuffix("_bucket")
        for name in known_names()
        if not name.startswith(f"{PREFIX}process_") and not name.endswith(("_count", "_sum"))
    }
    assert listed == expected


def test_dashboard_can_be_imported() -> None:
    """Expect each panel to query the data source that is chosen on import."""
    dashboard = json.loads((DOCS / "samples" / "grafana-dashboard.json").read_text("utf-8"))
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert all(target["expr"] for target in panel["targets"])
