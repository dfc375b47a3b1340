"""`partner-connector check`: diagnosis of a deployment, with a remedy for each failure."""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from partner_connector.cli import provision
from partner_connector.clock import now
from partner_connector.db.engine import Database, open_database
from partner_connector.db.revisions import is_at_head, sync_engine
from partner_connector.durable import dbos_internals, liveness
from partner_connector.durable.dbos_internals import Queues
from partner_connector.features.tokens.keys_in_use import tokens_by_key
from partner_connector.features.webhooks.signing_secrets import secrets_by_key
from partner_connector.graph import open_http_client
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.keyring import KeyringError, KeyringFile
from partner_connector.settings import ENV_PREFIX, Settings, load_settings

# Meta's `Date` header has whole seconds. Webhook leases end by the clocks of workers.
_TOLERATED_CLOCK_SECONDS = {"clock": 30, "database_clock": 5}
_QUEUED_AT_MOST_SECONDS = 600
_HAND_OVER_AGAIN = "have the tokens handed over again"
_ROTATE_SECRETS = "rotate the secret of each webhook endpoint"

Finding = dict[str, str]


def check(as_json: bool) -> None:
    """Print every finding; exit with 1 if a check failed."""
    findings = asyncio.run(_run(load_settings()))
    if as_json:
        print(json.dumps({"ok": is_healthy(findings), "checks": findings}))
    else:
        for finding in findings:
            print(f"{finding['status']:<8} {finding['name']:<16} {finding['detail']}")
    if not is_healthy(findings):
        sys.exit(1)


async def _run(settings: Settings) -> list[Finding]:
    """Run all checks, in the order in which an operator should repair failures."""
    database = open_database(settings)
    try:
        findings = await _database(settings, database)
        if is_healthy(findings):
            findings += await _engine(settings, database)
        ring = _read_keyring(settings)
        findings.append(_keys(ring))
        if is_healthy(findings[:2]) and isinstance(ring, KeyringFile):
            findings += await _sealed(database, ring)
    finally:
        await database.close()
    return findings + await _meta(settings)


def is_healthy(findings: Sequence[Finding]) -> bool:
    """Return whether no check failed. A warning is not a failure."""
    return all(finding["status"] != "fail" for finding in findings)


def _finding(name: str, status: str, detail: str) -> Finding:
    return {"name": name, "status": status, "detail": detail}


async def _database(settings: Settings, database: Database) -> list[Finding]:
    path = Path(settings.sqlalchemy_url().database or "")
    if settings.uses_sqlite and not await asyncio.to_thread(path.is_file):
        detail = (
            f"{path} does not exist yet: run `partner-connector serve --with-worker`, or "
            "`partner-connector migrate`, which creates it"
        )
        return [_finding("database", "fail", detail)]
    began = time.perf_counter()
    try:
        async with database.reading() as session:
            await session.execute(text("SELECT 1"))
            milliseconds = (time.perf_counter() - began) * 1000
            at_head = await (await session.connection()).run_sync(is_at_head)
            skew = await _skew(session)
    except (SQLAlchemyError, OSError):
        remedy = (
            f"{path} cannot be opened: check that it is a SQLite file which this user may write"
            if settings.uses_sqlite
            else f"cannot be reached: check {ENV_PREFIX}DATABASE_URL, and that the server runs and "
            "accepts connections from this host"
        )
        return [_finding("database", "fail", remedy)]
    reached = _finding("database", "ok", f"answers in {milliseconds:.0f} ms")
    migrations = (
        _finding("migrations", "ok", "at the newest revision")
        if at_head
        else _finding("migrations", "fail", "behind: run `partner-connector migrate`")
    )
    return [reached, migrations, *_clock("database_clock", skew, "the database's")]


async def _skew(session: AsyncSession) -> float | None:
    """Return the seconds by which the database's clock is ahead of ours; None with SQLite."""
    if session.get_bind().dialect.name == "sqlite":
        return None
    epoch = await session.scalar(text("SELECT EXTRACT(EPOCH FROM clock_timestamp())"))
    return float(epoch or 0) - now().timestamp()


def _clock(name: str, skew: float | None, owner: str) -> list[Finding]:
    if skew is None:
        return []
    detail = f"{abs(skew):.0f} s away from {owner}"
    if abs(skew) <= _TOLERATED_CLOCK_SECONDS[name]:
        return [_finding(name, "ok", detail)]
    return [_finding(name, "fail", f"{detail}: synchronize the clock of this host by NTP")]


async def _engine(settings: Settings, database: Database) -> list[Finding]:
    """Check the tables of the durable engine, its queue and its workers."""
    has, needs = await asyncio.to_thread(_engine_table_versions, settings)
    if has < needs:
        detail = f"its tables are at {has} of {needs}: run `partner-connector migrate`"
        return [_finding("engine", "fail", detail)]
    async with database.reading() as session:
        queues = await dbos_internals.queues(session)
        beats = [] if settings.uses_sqlite else await liveness.heartbeat_ages(session)
    findings = [_finding("engine", "ok", f"its tables are at {has}"), _queue(queues)]
    return findings if settings.uses_sqlite else [*findings, _workers(beats, queues)]


def _engine_table_versions(settings: Settings) -> tuple[int, int]:
    engine = sync_engine(settings)
    try:
        return dbos_internals.table_versions(engine)
    finally:
        engine.dispose()


def _queue(queues: Queues) -> Finding:
    detail = (
        f"queued: {queues.queued}; running: {queues.running}; for later: {queues.delayed.number}"
    )
    if queues.queued.seconds > _QUEUED_AT_MOST_SECONDS:
        remedy = "start another `partner-connector worker`, or read the logs of the workers"
        return _finding("queue", "warn", f"{detail}: {remedy}")
    return _finding("queue", "ok", detail)


def _workers(beats: Sequence[float], queues: Queues) -> Finding:
    alive = liveness.count_alive(beats)
    if alive == 0:
        waiting = queues.queued.number + queues.running.number
        detail = f"no worker is alive, {waiting} runs are waiting: start `partner-connector worker`"
        return _finding("workers", "fail" if waiting else "warn", detail)
    detail = f"{alive} alive, last heartbeat {min(beats):.0f} s ago"
    if silent := len(beats) - alive:
        remedy = "another worker recovers their runs"
        return _finding("workers", "warn", f"{detail}; {silent} not responding: {remedy}")
    return _finding("workers", "ok", detail)


def _read_keyring(settings: Settings) -> KeyringFile | KeyringError:
    try:
        return keyring_file.read(provision.available_keyring_file(settings))
    except KeyringError as error:
        return error


def _keys(ring: KeyringFile | KeyringError) -> Finding:
    if isinstance(ring, KeyringError):
        remedy = (
            f"set {ENV_PREFIX}KEYRING_FILE, restore the file from a backup, or create a keyring "
            "with `partner-connector keys generate`"
        )
        return _finding("keys", "fail", f"{ring}: {remedy}")
    kind = "full" if ring.holds_private_keys else "public"
    return _finding("keys", "ok", f"{kind} keyring, {ring.current.key_id} is current")


async def _sealed(database: Database, ring: KeyringFile) -> list[Finding]:
    """Check that every token and webhook secret is sealed under the current key."""
    async with database.reading() as session:
        tokens, secrets = await tokens_by_key(session), await secrets_by_key(session)
    return [
        *_under_keys("tokens", tokens, ring, _HAND_OVER_AGAIN),
        *_under_keys("webhook_secrets", secrets, ring, _ROTATE_SECRETS),
    ]


def _under_keys(name: str, used: dict[str, int], ring: KeyringFile, remedy: str) -> list[Finding]:
    held = {key.key_id for key in ring.keys}
    older = sum(used.get(key_id, 0) for key_id in held - {ring.current.key_id})
    lost = {key_id: number for key_id, number in used.items() if key_id not in held}
    findings = []
    if older:
        detail = f"{older} are sealed under an older key: a running worker re-seals them"
        findings.append(_finding(name, "warn", detail))
    for key_id, number in sorted(lost.items()):
        detail = (
            f"{number} are unreadable, because the keyring lacks {key_id}: restore the keyring "
            f"from a backup, or {remedy}"
        )
        findings.append(_finding(name, "warn", detail))
    all_current = f"{sum(used.values())}, all sealed under the current key"
    return findings or [_finding(name, "ok", all_current)]


async def _meta(settings: Settings) -> list[Finding]:
    """Call Meta without a token: it refuses the call, but states its version and its time."""
    try:
        async with open_http_client(settings.graph_base_url, read_timeout=10) as http:
            answer = await http.get(f"/{settings.graph_version}/me")
    except (httpx.HTTPError, OSError, ValueError) as error:
        detail = (
            f"cannot be reached ({type(error).__name__}): check {ENV_PREFIX}GRAPH_BASE_URL, DNS, "
            "and that a firewall allows outgoing connections to it"
        )
        return [_finding("meta", "fail", detail)]
    served = answer.headers.get("facebook-api-version")
    findings = [_version(settings, served)]
    if "date" in answer.headers:
        skew = (parsedate_to_datetime(answer.headers["date"]) - now()).total_seconds()
        findings += _clock("clock", skew, "Meta's")
    return findings


def _version(settings: Settings, served: str | None) -> Finding:
    if served is None:
        return _finding(
            "meta",
            "warn",
            f"reached, but the response names no version: check {ENV_PREFIX}GRAPH_BASE_URL",
        )
    if served != settings.graph_version:
        return _finding(
            "meta",
            "warn",
            f"Meta answers {settings.graph_version} with {served}: set {ENV_PREFIX}GRAPH_VERSION "
            "to a version that Meta supports",
        )
    return _finding("meta", "ok", f"reached, {served} answers")
