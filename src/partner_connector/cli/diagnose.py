"""`partner-connector check`: what is wrong with a deployment, in words."""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime

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
from partner_connector.settings import Settings, load_settings

# Meta's answers tell whole seconds. Leases of messages end by the clocks of workers.
_TOLERATED_CLOCK_SECONDS = {"clock": 30, "database_clock": 5}
_QUEUED_AT_MOST_SECONDS = 600
_HAND_OVER = "have them handed over again"
_ROTATE = "rotate the secret of each endpoint"

Finding = dict[str, str]


def check(as_json: bool) -> None:
    """Print every finding; exit with 1 where a check failed."""
    findings = asyncio.run(_run(load_settings()))
    if as_json:
        print(json.dumps({"ok": all_well(findings), "checks": findings}))
    else:
        for finding in findings:
            print(f"{finding['status']:<8} {finding['name']:<12} {finding['detail']}")
    if not all_well(findings):
        sys.exit(1)


async def _run(settings: Settings) -> list[Finding]:
    """Every check, in the order in which to mend what is wrong."""
    database = open_database(settings)
    try:
        findings = await _database(database)
        if all_well(findings):
            findings += await _engine(settings, database)
        ring = _read_keyring(settings)
        findings.append(_keys(ring))
        if all_well(findings[:2]) and isinstance(ring, KeyringFile):
            findings += await _sealed(database, ring)
    finally:
        await database.close()
    return findings + await _meta(settings)


def all_well(findings: Sequence[Finding]) -> bool:
    """Whether nothing failed. A warning is not a failure."""
    return all(finding["status"] != "fail" for finding in findings)


def _finding(name: str, status: str, detail: str) -> Finding:
    return {"name": name, "status": status, "detail": detail}


async def _database(database: Database) -> list[Finding]:
    began = time.perf_counter()
    try:
        async with database.reading() as session:
            await session.execute(text("SELECT 1"))
            milliseconds = (time.perf_counter() - began) * 1000
            at_head = await (await session.connection()).run_sync(is_at_head)
            skew = await _skew(session)
    except (SQLAlchemyError, OSError):
        return [_finding("database", "fail", "cannot be reached; see DATABASE_URL")]
    reached = _finding("database", "ok", f"answers in {milliseconds:.0f} ms")
    migrations = (
        _finding("migrations", "ok", "at the newest revision")
        if at_head
        else _finding("migrations", "fail", "behind: run `partner-connector migrate`")
    )
    return [reached, migrations, *_clock("database_clock", skew, "the database's")]


async def _skew(session: AsyncSession) -> float | None:
    """How far this host's clock is from the database's; a file has the clock of its host."""
    if session.get_bind().dialect.name == "sqlite":
        return None
    told = await session.scalar(text("SELECT EXTRACT(EPOCH FROM clock_timestamp())"))
    return float(told or 0) - now().timestamp()


def _clock(name: str, skew: float | None, whose: str) -> list[Finding]:
    if skew is None:
        return []
    well = abs(skew) <= _TOLERATED_CLOCK_SECONDS[name]
    return [_finding(name, "ok" if well else "fail", f"{abs(skew):.0f} s away from {whose}")]


async def _engine(settings: Settings, database: Database) -> list[Finding]:
    """Whether the durable engine has its tables, and whether somebody works off its queues."""
    has, needs = await asyncio.to_thread(_versions_of_the_engine, settings)
    if has < needs:
        detail = f"its tables are at {has} of {needs}: run `partner-connector migrate`"
        return [_finding("engine", "fail", detail)]
    async with database.reading() as session:
        queues = await dbos_internals.queues(session)
        beats = [] if settings.uses_sqlite else await liveness.worker_beats(session)
    findings = [_finding("engine", "ok", f"its tables are at {has}"), _queue(queues)]
    return findings if settings.uses_sqlite else [*findings, _workers(beats, queues)]


def _versions_of_the_engine(settings: Settings) -> tuple[int, int]:
    engine = sync_engine(settings)
    try:
        return dbos_internals.table_versions(engine)
    finally:
        engine.dispose()


def _queue(queues: Queues) -> Finding:
    stands = queues.queued.seconds > _QUEUED_AT_MOST_SECONDS
    detail = (
        f"queued: {queues.queued}; running: {queues.running}; for later: {queues.delayed.number}"
    )
    return _finding("queue", "warn" if stands else "ok", detail)


def _workers(beats: Sequence[float], queues: Queues) -> Finding:
    alive = liveness.alive(beats)
    if alive == 0:
        waits = queues.queued.number + queues.running.number
        detail = f"none is alive, and {waits} runs wait for one: start `partner-connector worker`"
        return _finding("workers", "fail" if waits else "warn", detail)
    detail = f"{alive} alive, the last beat {min(beats):.0f} s ago"
    if silent := len(beats) - alive:
        return _finding("workers", "warn", f"{detail}; {silent} silent, to be taken over")
    return _finding("workers", "ok", detail)


def _read_keyring(settings: Settings) -> KeyringFile | KeyringError:
    try:
        return keyring_file.read(provision.whichever_half(settings))
    except KeyringError as error:
        return error


def _keys(ring: KeyringFile | KeyringError) -> Finding:
    if isinstance(ring, KeyringError):
        return _finding("keys", "fail", str(ring))
    kind = "full" if ring.holds_private_keys else "public"
    return _finding("keys", "ok", f"{kind} keyring, {ring.current.key_id} is current")


async def _sealed(database: Database, ring: KeyringFile) -> list[Finding]:
    """What is sealed under which key, where it is not all under the current one."""
    async with database.reading() as session:
        tokens, secrets = await tokens_by_key(session), await secrets_by_key(session)
    return _under_keys("tokens", tokens, ring, _HAND_OVER) + _under_keys(
        "webhook_secrets", secrets, ring, _ROTATE
    )


def _under_keys(name: str, used: dict[str, int], ring: KeyringFile, remedy: str) -> list[Finding]:
    held = {key.key_id for key in ring.keys}
    older = sum(used.get(key_id, 0) for key_id in held - {ring.current.key_id})
    lost = {key_id: number for key_id, number in used.items() if key_id not in held}
    findings = []
    if older:
        detail = f"{older} are not under the current key yet: a worker seals them anew"
        findings.append(_finding(name, "warn", detail))
    for key_id, number in sorted(lost.items()):
        detail = (
            f"{number} are unreadable, since the keyring lacks {key_id}: restore it from a backup, "
            f"or {remedy}"
        )
        findings.append(_finding(name, "warn", detail))
    all_current = f"{sum(used.values())}, all under the current key"
    return findings or [_finding(name, "ok", all_current)]


async def _meta(settings: Settings) -> list[Finding]:
    """Any answer will do: without a token Meta refuses, but says its version and the time."""
    try:
        async with open_http_client(settings.graph_base_url, read_timeout=10) as http:
            answer = await http.get(f"/{settings.graph_version}/me")
    except (httpx.HTTPError, OSError, ValueError) as error:
        return [_finding("meta", "fail", f"cannot be reached: {type(error).__name__}")]
    served = answer.headers.get("facebook-api-version")
    findings = [_version(settings, served)]
    if "date" in answer.headers:
        skew = (parsedate_to_datetime(answer.headers["date"]) - now()).total_seconds()
        findings += _clock("clock", skew, "Meta's")
    return findings


def _version(settings: Settings, served: str | None) -> Finding:
    if served is None:
        return _finding("meta", "warn", "reached, but it did not say which version answers")
    if served != settings.graph_version:
        return _finding("meta", "warn", f"{settings.graph_version} is answered by {served}")
    return _finding("meta", "ok", f"reached, {served} answers")
