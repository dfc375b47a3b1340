"""`partner-connector demo`: the article's journey, through the public API alone.

The simulator, the API and the worker run in this one process, on a data directory that is made for
the occasion. What is printed is what the API answered.
"""

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from graph_simulator.app import create_app as create_simulator
from graph_simulator.world import build_world
from partner_connector.api.app import create_app
from partner_connector.cli import provision
from partner_connector.cli.process import signals_call
from partner_connector.cli.serving import ApiServer, address, listen
from partner_connector.credentials import Scope
from partner_connector.db.engine import open_database
from partner_connector.errors import OperatorError
from partner_connector.features.api_keys import service as api_keys
from partner_connector.features.audit.service import Recorder
from partner_connector.features.workspaces import repository as workspaces
from partner_connector.sealing.keyring import Ring
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings, without_environment
from partner_connector.telemetry.logging import configure_logging
from partner_connector.worker.process import worker_running

_FINAL = {"completed", "failed", "cancelled", "halted"}
_LOOK_EVERY_SECONDS = 0.2
_PATIENCE_SECONDS = 120
_WIDTH_WITHOUT_TERMINAL = 190


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the journey takes place."""

    api_url: str
    graph_url: str
    api_key: str
    data_dir: Path


async def run_demo(*, port: int, graph_port: int, once: bool) -> None:
    """Build the stage, walk the journey, keep serving unless `once`. Raises `OperatorError`."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH_WITHOUT_TERMINAL)
    api_socket = listen("127.0.0.1", port)
    graph_socket = listen("127.0.0.1", graph_port)
    graph_url = address(graph_socket)
    with tempfile.TemporaryDirectory(prefix="partner-connector-demo-") as directory:
        data_dir = Path(directory)
        with _simulator(graph_socket):
            truth = await _truth(graph_url)
            settings = without_environment(
                data_dir=data_dir,
                graph_base_url=graph_url,
                meta_app_id=truth["app"]["id"],
                meta_app_secret=truth["app"]["secret"],
                log_level="WARNING",
                log_format="console",
            )
            configure_logging(settings)
            provision.prepare_database(settings, lambda _: None)
            ring = provision.private_keyring(settings, lambda _: None)
            api_key = await _bootstrap(settings, PublicKeyring(ring))
            stage = Stage(address(api_socket), graph_url, api_key, data_dir)
            async with worker_running(settings, ring):
                await _serve_and_walk(settings, ring, api_socket, stage, truth, console, once=once)


async def _serve_and_walk(
    settings: Settings,
    ring: Ring,
    api_socket: Any,
    stage: Stage,
    truth: dict[str, Any],
    console: Console,
    *,
    once: bool,
) -> None:
    server = ApiServer(create_app(settings, PublicKeyring(ring)))
    with signals_call(server.end):
        serving = asyncio.create_task(server.serve(sockets=[api_socket]))
        walking = asyncio.create_task(_walk(stage, truth, console))
        await asyncio.wait({serving, walking}, return_when=asyncio.FIRST_COMPLETED)
        if server.should_exit:  # Ctrl-C in the middle of the journey: what it meets means nothing
            walking.cancel()
            await asyncio.gather(walking, serving, return_exceptions=True)
            return
        if once or walking.exception() is not None:
            server.end()
        else:
            _print_where(stage, console)
        await serving
        await walking


@contextlib.contextmanager
def _simulator(listener: Any) -> Iterator[None]:
    """Meta's stand-in, in a thread of its own with a loop of its own."""
    config = uvicorn.Config(
        create_simulator(build_world()), log_config=None, access_log=False, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=10)


async def _truth(graph_url: str) -> dict[str, Any]:
    """What the simulated partners' admins know, their tokens above all."""
    async with httpx.AsyncClient(base_url=graph_url, trust_env=False, timeout=30) as simulator:
        answer = await simulator.get("/__simulator__/world")
    world: dict[str, Any] = answer.raise_for_status().json()
    return world


async def _bootstrap(settings: Settings, keyring: PublicKeyring) -> str:
    database = open_database(settings)
    async with database.writing() as session:
        workspace = await workspaces.create(session, "Demo")
        _, api_key = await api_keys.create(
            session,
            Recorder.of_command_line(keyring, workspace.id),
            name="demo",
            scopes=[str(scope) for scope in Scope],
            expires_at=None,
            pepper=keyring.derive(b"pc-api-keys"),
        )
    await database.close()
    return api_key


@contextlib.asynccontextmanager
async def _api(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {stage.api_key}"}
    async with httpx.AsyncClient(
        base_url=stage.api_url, headers=headers, trust_env=False, timeout=60
    ) as api:
        yield api


async def _walk(stage: Stage, truth: dict[str, Any], console: Console) -> None:
    async with _api(stage) as api:
        integration = await _create_integration(api, truth, console)
        await _discover(api, integration, console)
        partner, secrets = await _pick_partner(api, truth, console)
        await _dry_run_bad_token(api, partner, secrets, console)
        await _connect(api, partner, secrets, console)
        await _check_for_updates(api, integration, console)
        await _show_users(api, partner, console)


async def _create_integration(
    api: httpx.AsyncClient, truth: dict[str, Any], console: Console
) -> str:
    host = truth["host"]
    _headline(console, 1, f"Connect our own business, {host['name']}")
    body = {
        "name": host["name"],
        "meta_business_id": host["id"],
        "access_token": host["token"],
    }
    created = _json(await api.post("/v1/integrations", json=body), 201)
    path = f"/v1/integrations/{created['id']}"
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while (seen := _json(await api.get(path), 200))["health"] == "pending_validation":
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
    console.print(f"  {created['id']}  health: {seen['health']}")
    if seen["health"] != "healthy":
        raise OperatorError(f"our own token was refused: {seen['health_reasons']}")
    return str(created["id"])


async def _discover(api: httpx.AsyncClient, integration: str, console: Console) -> None:
    _headline(console, 2, "Check for updates: which partners share assets with us?")
    await _run_job(api, f"/v1/integrations/{integration}/sync-jobs", console)
    page = _json(await api.get("/v1/partners", params={"integration_id": integration}), 200)
    table = _table("Partner", "Relationship", "Shared assets", "Status")
    for item in page["items"]:
        counts = {k: v for k, v in item["shared_asset_counts"].items() if v}
        shared = ", ".join(f"{count} {kind}" for kind, count in counts.items())
        status = item["onboarding_status_label"]
        table.add_row(item["name"], item["relationship"], shared or "-", status)
    console.print(table)


async def _pick_partner(
    api: httpx.AsyncClient, truth: dict[str, Any], console: Console
) -> tuple[dict[str, Any], dict[str, str]]:
    known = {partner["id"]: partner["tokens"] for partner in truth["partners"]}
    page = _json(await api.get("/v1/partners", params={"relationship": "agency"}), 200)
    partner = page["items"][0]
    console.print(f"\n  We go on with {partner['name']} ({partner['id']}).")
    return partner, known[partner["meta_business_id"]]


async def _dry_run_bad_token(
    api: httpx.AsyncClient, partner: dict[str, Any], secrets: dict[str, str], console: Console
) -> None:
    _headline(console, 3, "Dry-run a token that its admin made with too few permissions")
    validation = await _validate(
        api, "POST", f"/v1/partners/{partner['id']}/token-validations", secrets["missing_scope"]
    )
    _print_checks(console, validation)


async def _connect(
    api: httpx.AsyncClient, partner: dict[str, Any], secrets: dict[str, str], console: Console
) -> None:
    _headline(console, 4, "Connect the partner with a good token")
    validation = await _validate(api, "PUT", f"/v1/partners/{partner['id']}/token", secrets["good"])
    _print_checks(console, validation)
    seen = _json(await api.get(f"/v1/partners/{partner['id']}"), 200)
    console.print(f"  {seen['name']}: {seen['onboarding_status_label']}")
    if seen["onboarding_status"] != "onboarded":
        raise OperatorError("the good token was not accepted")


async def _check_for_updates(api: httpx.AsyncClient, integration: str, console: Console) -> None:
    _headline(console, 5, "Check for updates: who at the partner can touch our assets?")
    await _run_job(api, f"/v1/integrations/{integration}/sync-jobs", console)


async def _show_users(api: httpx.AsyncClient, partner: dict[str, Any], console: Console) -> None:
    _headline(console, 6, f"The users of {partner['name']}")
    table = _table("Name", "Email", "Role", "2FA", "Asset", "Tasks")
    query: dict[str, str] = {"partner_id": partner["id"], "expand": "grants", "state": "active"}
    count = 0
    while True:
        page = _json(await api.get("/v1/partner-users", params=query), 200)
        for user in page["items"]:
            count += 1
            who = (user["name"], user["email"] or "-", user["role"] or "-", user["two_factor"])
            for grant in user["grants"]:
                what = (grant["asset"]["name"], ", ".join(grant["tasks"]))
                table.add_row(*map(escape, (*who, *what)))
                who = ("", "", "", "")
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    console.print(table)
    seen = _json(await api.get(f"/v1/partners/{partner['id']}"), 200)
    others = seen["people_without_access_count"]
    console.print(f"\n  {count} users with access; {others} other people counted, not stored.")


async def _validate(api: httpx.AsyncClient, method: str, path: str, token: str) -> dict[str, Any]:
    answer = await api.request(
        method, path, json={"access_token": token}, headers={"Prefer": "wait=30"}
    )
    return _json(answer, 200)


async def _run_job(api: httpx.AsyncClient, path: str, console: Console) -> None:
    job = _json(await api.post(path, json={}), 202)
    shown = ""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while True:
            job = _json(await api.get(f"/v1/sync-jobs/{job['id']}"), 200)
            progress = job["progress"]
            of_total = "" if not progress["total"] else f" {progress['done']}/{progress['total']}"
            line = f"  {job['status_label']} · {progress['phase']}{of_total}"
            if line != shown:
                console.print(line)
                shown = line
            if job["status"] in _FINAL:
                break
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
    if job["status"] != "completed":
        raise OperatorError(f"the check for updates ended as {job['status_label']}: {job['error']}")


def _print_checks(console: Console, validation: dict[str, Any]) -> None:
    for check in validation["checks"]:
        console.print(f"  {check['status']:<8} {check['id']:<20} {check['detail']}", soft_wrap=True)
        if check["remedy"] and check["status"] == "fail":
            console.print(f"  {'':<8} {'':<20} → {check['remedy']}", soft_wrap=True)
    console.print(f"  Verdict: {validation['verdict']}")


def _print_where(stage: Stage, console: Console) -> None:
    console.print(f"\nAPI        {stage.api_url}  (docs: {stage.api_url}/docs)")
    console.print(f"Simulator  {stage.graph_url}/__simulator__/")
    console.print(f"API key    {stage.api_key}", soft_wrap=True)
    console.print(f"Data       {stage.data_dir} (removed at the end)")
    console.print("Serving until Ctrl-C.")


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in columns:
        # Folded, not cut: half an address is no address.
        table.add_column(column, overflow="fold")
    return table


def _headline(console: Console, number: int, text: str) -> None:
    console.print(f"\n[bold]{number}. {text}[/bold]")


def _json(answer: httpx.Response, expected: int) -> dict[str, Any]:
    if answer.status_code != expected:
        told = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        raise OperatorError(f"the API answered {answer.status_code}: {told.get('detail', '')}")
    document: dict[str, Any] = answer.json()
    return document
