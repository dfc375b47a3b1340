"""`partner-connector check`: what is wrong with a deployment, in words."""

import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime

import httpx
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from partner_connector.clock import now
from partner_connector.database import open_database
from partner_connector.graph import open_http_client
from partner_connector.migrate import is_at_head
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.keyring import KeyringError, KeyringFile
from partner_connector.settings import Settings
from partner_connector.tokens.keys_in_use import tokens_by_key

_TOLERATED_CLOCK_SECONDS = 30

Finding = dict[str, str]


async def run(settings: Settings) -> list[Finding]:
    """Every check, in the order in which to mend what is wrong."""
    database = await _database(settings)
    ring = _read_keyring(settings)
    findings = [*database, _keys(ring)]
    if all_well(findings) and isinstance(ring, KeyringFile):
        findings += await _tokens(settings, ring)
    return findings + await _meta(settings)


def all_well(findings: Sequence[Finding]) -> bool:
    """Whether nothing failed. A warning is not a failure."""
    return all(finding["status"] != "fail" for finding in findings)


def _finding(name: str, status: str, detail: str) -> Finding:
    return {"name": name, "status": status, "detail": detail}


async def _database(settings: Settings) -> list[Finding]:
    database = open_database(settings)
    began = time.perf_counter()
    try:
        async with database.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            milliseconds = (time.perf_counter() - began) * 1000
            at_head = await connection.run_sync(is_at_head)
    except (SQLAlchemyError, OSError):
        return [_finding("database", "fail", "cannot be reached; see DATABASE_URL")]
    finally:
        await database.close()
    reached = _finding("database", "ok", f"answers in {milliseconds:.0f} ms")
    if at_head:
        return [reached, _finding("migrations", "ok", "at the newest revision")]
    return [reached, _finding("migrations", "fail", "behind: run `partner-connector migrate`")]


def _read_keyring(settings: Settings) -> KeyringFile | KeyringError:
    path = settings.private_keyring_file
    try:
        return keyring_file.read(path if path.exists() else settings.public_keyring_file)
    except KeyringError as error:
        return error


def _keys(ring: KeyringFile | KeyringError) -> Finding:
    if isinstance(ring, KeyringError):
        return _finding("keys", "fail", str(ring))
    kind = "full" if ring.holds_private_keys else "public"
    return _finding("keys", "ok", f"{kind} keyring, {ring.current.key_id} is current")


async def _tokens(settings: Settings, ring: KeyringFile) -> list[Finding]:
    """What is sealed under which key, where it is not all under the current one."""
    database = open_database(settings)
    try:
        async with database.reading() as session:
            used = await tokens_by_key(session)
    finally:
        await database.close()
    held = {key.key_id for key in ring.keys}
    older = sum(used.get(key_id, 0) for key_id in held - {ring.current.key_id})
    lost = {key_id: number for key_id, number in used.items() if key_id not in held}
    findings = []
    if older:
        detail = f"{older} are not under the current key yet: a worker seals them anew"
        findings.append(_finding("tokens", "warn", detail))
    for key_id, number in sorted(lost.items()):
        detail = (
            f"{number} are unreadable, since the keyring lacks {key_id}: restore it from a backup, "
            "or have them handed over again"
        )
        findings.append(_finding("tokens", "warn", detail))
    all_current = f"{sum(used.values())}, all under the current key"
    return findings or [_finding("tokens", "ok", all_current)]


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
        skew = abs((parsedate_to_datetime(answer.headers["date"]) - now()).total_seconds())
        well = skew <= _TOLERATED_CLOCK_SECONDS
        detail = f"{skew:.0f} s away from Meta's"
        findings.append(_finding("clock", "ok" if well else "fail", detail))
    return findings


def _version(settings: Settings, served: str | None) -> Finding:
    if served is None:
        return _finding("meta", "warn", "reached, but it did not say which version answers")
    if served != settings.graph_version:
        return _finding("meta", "warn", f"{settings.graph_version} is answered by {served}")
    return _finding("meta", "ok", f"reached, {served} answers")
