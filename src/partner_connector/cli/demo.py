"""`partner-connector demo`: the article's journey, through the public API alone.

The simulator, the API and the worker run in this one process, on a data directory that is made for
the occasion. What is printed is what the API answered.
"""

import asyncio
import contextlib
import socket
import tempfile
import threading
from collections.abc import Iterator
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
    # What the simulated partners' admins know, their tokens above all.
    truth: dict[str, Any]
    console: Console


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
            stage = Stage(address(api_socket), graph_url, api_key, data_dir, truth, console)
            server = ApiServer(create_app(settings, PublicKeyring(ring)))
            async with worker_running(settings, ring):
                await _serve_and_walk(server, api_socket, stage, once=once)


async def _serve_and_walk(
    server: ApiServer, api_socket: socket.socket, stage: Stage, *, once: bool
) -> None:
    with signals_call(server.end):
        serving = asyncio.create_task(server.serve(sockets=[api_socket]))
        walking = asyncio.create_task(_walk(stage))
        await asyncio.wait({serving, walking}, return_when=asyncio.FIRST_COMPLETED)
        if server.should_exit:  # Ctrl-C in the middle of the journey: what it meets means nothing
            walking.cancel()
            await asyncio.gather(walking, serving, return_exceptions=True)
            return
        if once or walking.exception() is not None:
            server.end()
        else:
            _print_where(stage)
        await serving
        await walking


@contextlib.contextmanager
def _simulator(listener: socket.socket) -> Iterator[None]:
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
    """Return what the simulator knows about its world."""
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


async def _walk(stage: Stage) -> None:
    headers = {"Authorization": f"Bearer {stage.api_key}"}
    async with httpx.AsyncClient(
        base_url=stage.api_url, headers=headers, trust_env=False, timeout=60
    ) as api:
        await Journey(api, stage.truth, stage.console).walk()


@dataclass(frozen=True, slots=True)
class Journey:
    """The steps of the demo, each through the public API and printed."""

    api: httpx.AsyncClient
    truth: dict[str, Any]
    console: Console

    async def walk(self) -> None:
        """Take every step in order. Raises `OperatorError`."""
        integration = await self._create_integration()
        await self._discover(integration)
        partner, secrets = await self._pick_partner()
        await self._dry_run_bad_token(partner, secrets)
        await self._connect(partner, secrets)
        await self._check_for_updates(integration)
        await self._show_users(partner)

    async def _create_integration(self) -> str:
        host = self.truth["host"]
        self._headline(1, f"Connect our own business, {host['name']}")
        body = {
            "name": host["name"],
            "meta_business_id": host["id"],
            "access_token": host["token"],
        }
        created = _json(await self.api.post("/v1/integrations", json=body), 201)
        path = f"/v1/integrations/{created['id']}"
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while (seen := await self._get(path))["health"] == "pending_validation":
                await asyncio.sleep(_LOOK_EVERY_SECONDS)
        self.console.print(f"  {created['id']}  health: {seen['health']}")
        if seen["health"] != "healthy":
            raise OperatorError(f"our own token was refused: {seen['health_reasons']}")
        return str(created["id"])

    async def _discover(self, integration: str) -> None:
        self._headline(2, "Check for updates: which partners share assets with us?")
        await self._run_job(f"/v1/integrations/{integration}/sync-jobs")
        page = await self._get("/v1/partners", integration_id=integration)
        table = _table("Partner", "Relationship", "Shared assets", "Status")
        for item in page["items"]:
            counts = {k: v for k, v in item["shared_asset_counts"].items() if v}
            shared = ", ".join(f"{count} {kind}" for kind, count in counts.items())
            status = item["onboarding_status_label"]
            table.add_row(item["name"], item["relationship"], shared or "-", status)
        self.console.print(table)

    async def _pick_partner(self) -> tuple[dict[str, Any], dict[str, str]]:
        known = {partner["id"]: partner["tokens"] for partner in self.truth["partners"]}
        page = await self._get("/v1/partners", relationship="agency")
        partner = page["items"][0]
        self.console.print(f"\n  We go on with {partner['name']} ({partner['id']}).")
        return partner, known[partner["meta_business_id"]]

    async def _dry_run_bad_token(self, partner: dict[str, Any], secrets: dict[str, str]) -> None:
        self._headline(3, "Dry-run a token that its admin made with too few permissions")
        path = f"/v1/partners/{partner['id']}/token-validations"
        await self._validate("POST", path, secrets["missing_scope"])

    async def _connect(self, partner: dict[str, Any], secrets: dict[str, str]) -> None:
        self._headline(4, "Connect the partner with a good token")
        await self._validate("PUT", f"/v1/partners/{partner['id']}/token", secrets["good"])
        seen = await self._get(f"/v1/partners/{partner['id']}")
        self.console.print(f"  {seen['name']}: {seen['onboarding_status_label']}")
        if seen["onboarding_status"] != "onboarded":
            raise OperatorError("the good token was not accepted")

    async def _check_for_updates(self, integration: str) -> None:
        self._headline(5, "Check for updates: who at the partner can touch our assets?")
        await self._run_job(f"/v1/integrations/{integration}/sync-jobs")

    async def _show_users(self, partner: dict[str, Any]) -> None:
        self._headline(6, f"The users of {partner['name']}")
        table = _table("Name", "Email", "Role", "2FA", "Asset", "Tasks")
        query: dict[str, str] = {"partner_id": partner["id"], "expand": "grants", "state": "active"}
        count = 0
        while True:
            page = await self._get("/v1/partner-users", **query)
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
        self.console.print(table)
        seen = await self._get(f"/v1/partners/{partner['id']}")
        others = seen["people_without_access_count"]
        told = f"{count} users with access; {others} other people counted, not stored."
        self.console.print(f"\n  {told}")

    async def _get(self, path: str, **query: str) -> dict[str, Any]:
        return _json(await self.api.get(path, params=query), 200)

    async def _validate(self, method: str, path: str, token: str) -> None:
        answer = await self.api.request(
            method, path, json={"access_token": token}, headers={"Prefer": "wait=30"}
        )
        validation = _json(answer, 200)
        for check in validation["checks"]:
            self.console.print(
                f"  {check['status']:<8} {check['id']:<20} {check['detail']}", soft_wrap=True
            )
            if check["remedy"] and check["status"] == "fail":
                self.console.print(f"  {'':<8} {'':<20} → {check['remedy']}", soft_wrap=True)
        self.console.print(f"  Verdict: {validation['verdict']}")

    async def _run_job(self, path: str) -> None:
        job = _json(await self.api.post(path, json={}), 202)
        shown = ""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                job = await self._get(f"/v1/sync-jobs/{job['id']}")
                progress = job["progress"]
                line = f"  {job['status_label']} · {progress['phase']}"
                if progress["total"]:
                    line += f" {progress['done']}/{progress['total']}"
                if line != shown:
                    self.console.print(line)
                    shown = line
                if job["status"] in _FINAL:
                    break
                await asyncio.sleep(_LOOK_EVERY_SECONDS)
        if job["status"] != "completed":
            ended = f"{job['status_label']}: {job['error']}"
            raise OperatorError(f"the check for updates ended as {ended}")

    def _headline(self, number: int, text: str) -> None:
        self.console.print(f"\n[bold]{number}. {text}[/bold]")


def _print_where(stage: Stage) -> None:
    console = stage.console
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


def _json(answer: httpx.Response, expected: int) -> dict[str, Any]:
    if answer.status_code != expected:
        told = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        raise OperatorError(f"the API answered {answer.status_code}: {told.get('detail', '')}")
    document: dict[str, Any] = answer.json()
    return document
