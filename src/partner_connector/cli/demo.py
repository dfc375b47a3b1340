"""`partner-connector demo`: the whole journey of a partner, through the public API alone.

The simulator, the API and the worker run in this one process, on a temporary data directory. The
results that are printed are answers of the API.
"""

import asyncio
import contextlib
import socket
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
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
_POLL_SECONDS = 0.2
_TIMEOUT_SECONDS = 120
_LINK_SECONDS = 86_400
_WIDTH_WITHOUT_TERMINAL = 120
_ACCESS_WIDTH = len("direct, group")
_WAYS = {"direct": "direct", "asset_group": "group"}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """Addresses, API key and console of one demo."""

    api_url: str
    graph_url: str
    api_key: str
    data_dir: Path
    # The simulator's description of its world, with the tokens of its businesses.
    world: Json
    console: Console


async def run_demo(*, port: int, graph_port: int, once: bool) -> None:
    """Start everything, walk the journey, keep serving unless `once`. Raises `OperatorError`."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH_WITHOUT_TERMINAL)
    api_socket = listen("127.0.0.1", port)
    graph_socket = listen("127.0.0.1", graph_port)
    graph_url = address(graph_socket)
    with tempfile.TemporaryDirectory(prefix="partner-connector-demo-") as directory:
        data_dir = Path(directory)
        with _simulator(graph_socket):
            world = await _describe_world(graph_url)
            settings = without_environment(
                data_dir=data_dir,
                graph_base_url=graph_url,
                meta_app_id=world["app"]["id"],
                meta_app_secret=world["app"]["secret"],
                log_level="WARNING",
                log_format="console",
            )
            configure_logging(settings)
            provision.prepare_database(settings, lambda _: None)
            ring = provision.private_keyring(settings, lambda _: None)
            api_key = await _create_api_key(settings, PublicKeyring(ring))
            stage = Stage(address(api_socket), graph_url, api_key, data_dir, world, console)
            server = ApiServer(create_app(settings, PublicKeyring(ring)))
            async with worker_running(settings, ring):
                await _serve_and_walk(server, api_socket, stage, once=once)


async def _serve_and_walk(
    server: ApiServer, api_socket: socket.socket, stage: Stage, *, once: bool
) -> None:
    with signals_call(server.end):
        serving = asyncio.create_task(server.serve(sockets=[api_socket]))
        walking = asyncio.create_task(_walk(stage, once=once))
        await asyncio.wait({serving, walking}, return_when=asyncio.FIRST_COMPLETED)
        if server.should_exit:  # Ctrl-C during the journey: errors of its requests mean nothing
            walking.cancel()
            await asyncio.gather(walking, serving, return_exceptions=True)
            return
        if once or walking.exception() is not None:
            server.end()
        await serving
        await walking


@contextlib.contextmanager
def _simulator(listener: socket.socket) -> Iterator[None]:
    """Run the simulated Meta in a separate thread, with a separate event loop."""
    config = uvicorn.Config(
        create_simulator(build_world(quirks=False)),
        log_config=None,
        access_log=False,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=10)


async def _describe_world(graph_url: str) -> Json:
    """Return the simulator's description of its world."""
    async with httpx.AsyncClient(base_url=graph_url, trust_env=False, timeout=30) as simulator:
        answer = await simulator.get("/__simulator__/world")
    world: Json = answer.raise_for_status().json()
    return world


async def _create_api_key(settings: Settings, keyring: PublicKeyring) -> str:
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


async def _walk(stage: Stage, *, once: bool) -> None:
    headers = {"Authorization": f"Bearer {stage.api_key}"}
    async with httpx.AsyncClient(
        base_url=stage.api_url, headers=headers, trust_env=False, timeout=60
    ) as api:
        journey = Journey(api, stage)
        partner = await journey.walk()
        if not once:
            await journey.print_next_steps(partner)


@dataclass(frozen=True, slots=True)
class Journey:
    """The steps of the demo. Each calls the public API and prints the answer."""

    api: httpx.AsyncClient
    stage: Stage

    async def walk(self) -> Json:
        """Take every step in order and return the connected partner. Raises `OperatorError`."""
        integration = await self._create_integration()
        await self._discover(integration)
        partner, tokens = await self._pick_partner()
        await self._validate_bad_token(partner, tokens["missing_scope"])
        await self._connect(partner, tokens["good"])
        await self._check_for_updates(integration)
        await self._show_users(partner)
        return partner

    async def print_next_steps(self, partner: Json) -> None:
        """Print what runs where, and three lines to copy."""
        stage, other = self.stage, await self._pending_partner()
        path = f"/v1/partners/{other['id']}/token-requests"
        created = await self.api.post(path, json={"expires_in_seconds": _LINK_SECONDS})
        link = _json(created, 201)["url"]
        query = f"partner_id={partner['id']}&expand=grants"
        curl = (
            f"curl -s -H 'Authorization: Bearer {stage.api_key}' "
            f"'{stage.api_url}/v1/partner-users?{query}'"
        )
        self._headline("What is running")
        for name, text in (
            ("API", stage.api_url),
            ("API key", stage.api_key),
            ("Simulated Meta", f"{stage.graph_url}/__simulator__/world (all tokens are here)"),
            ("Data", f"{stage.data_dir} (deleted at the end)"),
        ):
            self._print(f"  {name:<14}  {text}")
        self._headline("Three lines to copy")
        for purpose, line in (
            (f"Read the users of {partner['name']} from a shell:", curl),
            (f"Hand over a token as the admin of {other['name']}, in a browser:", link),
            ("Read the documentation of the API, in a browser:", f"{stage.api_url}/docs"),
        ):
            self._print(f"  {purpose}\n{line}")
        self._print("\nServing until Ctrl-C.")

    async def _create_integration(self) -> str:
        host = self.stage.world["host"]
        self._headline(f"1. Connect our own business, {host['name']}")
        body = {
            "name": host["name"],
            "meta_business_id": host["id"],
            "access_token": host["token"],
        }
        created = _json(await self.api.post("/v1/integrations", json=body), 201)
        path = f"/v1/integrations/{created['id']}"
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            while (seen := await self._get(path))["health"] == "pending_validation":
                await asyncio.sleep(_POLL_SECONDS)
        self._print(f"  {created['id']}  health: {seen['health']}")
        if seen["health"] != "healthy":
            raise OperatorError(f"our own business's token was refused: {seen['health_reasons']}")
        return str(created["id"])

    async def _discover(self, integration: str) -> None:
        self._headline("2. Check for updates: which partners share assets with us?")
        await self._run_job(f"/v1/integrations/{integration}/sync-jobs")
        page = await self._get("/v1/partners", integration_id=integration)
        table = _table("Partner", "Relationship", "Shared assets", "Status")
        for item in page["items"]:
            shared = _count_assets(item["shared_asset_counts"])
            status = item["onboarding_status_label"]
            table.add_row(*map(escape, (item["name"], item["relationship"], shared, status)))
        self.stage.console.print(table)
        unknown = {
            kind
            for item in page["items"]
            for kind, count in item["shared_asset_counts"].items()
            if count is None
        }
        if unknown:
            kinds = ", ".join(_plural(kind) for kind in sorted(unknown))
            self._print(
                f"  Not counted yet: {kinds}. Meta's list of partners does not count them; the "
                "token of a partner does."
            )

    async def _pick_partner(self) -> tuple[Json, dict[str, str]]:
        tokens = {partner["id"]: partner["tokens"] for partner in self.stage.world["partners"]}
        page = await self._get("/v1/partners", relationship="agency")
        partner: Json = page["items"][0]
        self._print(f"\n  The next steps connect {partner['name']} ({partner['id']}).")
        return partner, tokens[partner["meta_business_id"]]

    async def _pending_partner(self) -> Json:
        page = await self._get("/v1/partners", relationship="client")
        partner: Json = page["items"][0]
        return partner

    async def _validate_bad_token(self, partner: Json, token: str) -> None:
        self._headline("3. Validate a token that lacks a permission, without storing it")
        path = f"/v1/partners/{partner['id']}/token-validations"
        validation = await self._validate("POST", path, token)
        self._print_checks([c for c in validation["checks"] if c["status"] != "pass"])
        self._print_verdict(validation)

    async def _connect(self, partner: Json, token: str) -> None:
        self._headline("4. Connect the partner with a good token")
        validation = await self._validate("PUT", f"/v1/partners/{partner['id']}/token", token)
        self._print_checks(validation["checks"])
        self._print_verdict(validation)
        seen = await self._get(f"/v1/partners/{partner['id']}")
        self._print(f"  {seen['name']}: {seen['onboarding_status_label']}")
        if seen["onboarding_status"] != "onboarded":
            raise OperatorError("the good token was not accepted")

    async def _check_for_updates(self, integration: str) -> None:
        self._headline("5. Check for updates: which of the partner's users reach our assets?")
        await self._run_job(f"/v1/integrations/{integration}/sync-jobs")

    async def _show_users(self, partner: Json) -> None:
        self._headline(f"6. The users of {partner['name']}")
        users = await self._active_users(partner)
        user_labels = _label(users, "meta_user_id")
        asset_labels = _label(
            [grant["asset"] for user in users for grant in user["grants"]], "meta_id"
        )
        width = max(map(len, asset_labels.values()), default=0)
        self._print_grants(width, [("Asset", "Access", "Tasks")])
        for user in users:
            address_or_kind = user["email"] or user["kind"].replace("_", " ")
            facts = [address_or_kind, user["role"], f"2FA {user['two_factor']}"]
            name = escape(user_labels[user["meta_user_id"]])
            self.stage.console.print(
                f"  [bold]{name}[/bold] · {escape(' · '.join(filter(None, facts)))}", soft_wrap=True
            )
            rows = [
                (asset_labels[asset_id], ", ".join(ways), ", ".join(tasks))
                for asset_id, (ways, tasks) in _by_asset(user["grants"]).items()
            ]
            self._print_grants(width, rows)
        seen = await self._get(f"/v1/partners/{partner['id']}")
        kinds = Counter(user["kind"] for user in users)
        counted = " and ".join(_amount(number, kind) for kind, number in sorted(kinds.items()))
        self._print(
            f"\n  Users with access: {len(users)} ({counted}).\n"
            f"  People of {seen['name']} without access: {seen['people_without_access_count']}, "
            "counted but not stored.\n"
            f"  Shared assets: {_count_assets(seen['shared_asset_counts'])}."
        )

    def _print_grants(self, asset_width: int, rows: Sequence[tuple[str, str, str]]) -> None:
        console = self.stage.console
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=min(asset_width, console.width // 2), overflow="fold")
        table.add_column(width=_ACCESS_WIDTH)
        table.add_column()
        for row in rows:
            table.add_row(*map(escape, row))
        console.print(Padding(table, (0, 0, 0, 4)))

    async def _active_users(self, partner: Json) -> list[Json]:
        query: dict[str, str] = {"partner_id": partner["id"], "expand": "grants", "state": "active"}
        users: list[Json] = []
        while True:
            page = await self._get("/v1/partner-users", **query)
            users += page["items"]
            if page["next_cursor"] is None:
                return users
            query["cursor"] = page["next_cursor"]

    async def _get(self, path: str, **query: str) -> Json:
        return _json(await self.api.get(path, params=query), 200)

    async def _validate(self, method: str, path: str, token: str) -> Json:
        answer = await self.api.request(
            method, path, json={"access_token": token}, headers={"Prefer": "wait=30"}
        )
        return _json(answer, 200)

    def _print_checks(self, checks: Sequence[Json]) -> None:
        for check in checks:
            self._print(f"  {check['status']:<8} {check['id']:<20} {check['detail']}")
            if check["remedy"] and check["status"] == "fail":
                self._print(f"  {'':<8} {'':<20} → {check['remedy']}")

    def _print_verdict(self, validation: Json) -> None:
        found = Counter(check["status"] for check in validation["checks"])
        counted = ", ".join(f"{number} {status}" for status, number in found.items())
        self._print(f"  Verdict: {validation['verdict']} ({counted})")

    async def _run_job(self, path: str) -> None:
        job = _json(await self.api.post(path, json={}), 202)
        shown = ""
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            while True:
                job = await self._get(f"/v1/sync-jobs/{job['id']}")
                if (line := _progress_line(job)) != shown:
                    self._print(line)
                    shown = line
                if job["status"] in _FINAL:
                    break
                await asyncio.sleep(_POLL_SECONDS)
        if job["status"] != "completed":
            ended = f"{job['status_label']}: {job['error']}"
            raise OperatorError(f"the check for updates ended as {ended}")

    def _headline(self, text: str) -> None:
        self.stage.console.print(f"\n[bold]{escape(text)}[/bold]", soft_wrap=True)

    def _print(self, text: str) -> None:
        """Print text as it is. A long line stays one line, which can be copied."""
        self.stage.console.print(text, markup=False, soft_wrap=True)


def _progress_line(job: Json) -> str:
    progress = job["progress"]
    if job["status"] in _FINAL:
        return f"  {job['status_label']}"
    # A worker has taken the job, but its first step has not begun.
    if progress["phase"] == "queued":
        return "  Queued"
    # A parent job is queued again while its child jobs wait for a worker, but it has begun.
    label = "Running" if job["status"] == "queued" else job["status_label"]
    line = f"  {label} · {progress['phase'].replace('_', ' ')}"
    return f"{line} {progress['done']}/{progress['total']}" if progress["total"] else line


def _by_asset(grants: Sequence[Json]) -> dict[str, tuple[list[str], list[str]]]:
    """Return the ways of access and all tasks for each asset, by Meta's id of the asset."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for grant in grants:
        ways, tasks = found.setdefault(grant["asset"]["meta_id"], ([], []))
        ways.append(_WAYS.get(grant["via"]) or grant["via"])
        tasks += [task for task in grant["tasks"] if task not in tasks]
    return found


def _label(things: Sequence[Json], id_field: str) -> dict[str, str]:
    """Return a label for each thing, by its id: the name, with the id where two share the name."""
    names = {thing[id_field]: thing["name"] for thing in things}
    uses = Counter(names.values())
    return {
        thing_id: f"{name} ({thing_id})" if uses[name] > 1 else name
        for thing_id, name in names.items()
    }


def _count_assets(counts: dict[str, int | None]) -> str:
    return ", ".join(_amount(number, kind) for kind, number in counts.items() if number) or "none"


def _amount(number: int, kind: str) -> str:
    return f"{number} {kind.replace('_', ' ') if number == 1 else _plural(kind)}"


def _plural(kind: str) -> str:
    return {"person": "people"}.get(kind, f"{kind.replace('_', ' ')}s")


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in columns:
        # Folded, not cut: an address must be complete.
        table.add_column(column, overflow="fold")
    return table


def _json(answer: httpx.Response, expected: int) -> Json:
    if answer.status_code != expected:
        problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        raise OperatorError(f"the API answered {answer.status_code}: {problem.get('detail', '')}")
    document: Json = answer.json()
    return document
