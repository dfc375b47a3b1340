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
from partner_connector.sealing.keyring import KeyringError
from partner_connector.settings import Settings

_TOLERATED_CLOCK_SECONDS = 30

Finding = dict[str, str]


async def run(settings: Settings) -> list[Finding]:
    """Every check, in the order in which to mend what is wrong."""
    return [*await _database(settings), _keys(settings), *await _meta(settings)]


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


def _keys(settings: Settings) -> Finding:
    path = settings.private_keyring_file
    try:
        ring = keyring_file.read(path if path.exists() else settings.public_keyring_file)
    except KeyringError as error:
        return _finding("keys", "fail", str(error))
    kind = "full" if ring.holds_private_keys else "public"
    return _finding("keys", "ok", f"{kind} keyring, {ring.current.key_id} is current")


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
