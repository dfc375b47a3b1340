"""Workspaces and API keys without HTTP."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from partner_connector import credentials
from partner_connector.clock import now
from partner_connector.db.models import ApiKey
from partner_connector.db.revisions import sync_engine
from partner_connector.ids import decode
from partner_connector.settings import without_environment
from tests.cli.conftest import Run
from tests.support.clients import ALL_SCOPES

NEVER = "wsp_01k9z3v0e8fjt9m2c4r6w8xabc"


def stored_key(directory: Path, key_id: str) -> ApiKey:
    """Return the row of an API key in the database of the data directory."""
    engine = sync_engine(without_environment(data_dir=directory / "var"))
    with Session(engine) as session:
        row = session.scalars(select(ApiKey).where(ApiKey.id == decode("key", key_id))).one()
    engine.dispose()
    return row


def test_workspace_create(run: Run) -> None:
    """Print id and name of the new workspace, and nothing else, to standard output."""
    document = run("workspace", "create", "  Acme & Söhne ", "--json").document
    assert set(document) == {"id", "name"}
    assert document["name"] == "Acme & Söhne"
    assert decode("wsp", document["id"]).version == 7
    again = run("workspace", "create", "Acme & Söhne", "--json").document
    assert again["id"] != document["id"]
    plain = run("workspace", "create", "Plain")
    assert re.fullmatch(r"wsp_[0-9a-z]{26}\n", plain.out)


@pytest.mark.parametrize("name", ["", "   ", "x" * 201])
def test_workspace_needs_a_name(run: Run, name: str) -> None:
    """Refuse an empty or too long name before anything is created."""
    ended = run("workspace", "create", name, "--json")
    assert ended.code != 0
    assert ended.out == ""
    assert "1 to 200 characters" in ended.err
    assert not Path("var").exists()


@pytest.mark.parametrize(
    ("options", "scopes"),
    [
        (("--scope", "users:read"), ["users:read"]),
        (("--scope", "users:read", "--scope", "keys:admin"), ["keys:admin", "users:read"]),
        (("--scope", "users:read", "--scope", "users:read"), ["users:read"]),
        (("--scope", "all"), sorted(ALL_SCOPES)),
        (("--scope", "all", "--scope", "users:read"), sorted(ALL_SCOPES)),
    ],
)
def test_api_key_create(
    run: Run, tmp_path: Path, options: tuple[str, ...], scopes: list[str]
) -> None:
    """Print id and key; the key has the requested scopes and never expires."""
    workspace = run("workspace", "create", "A", "--json").document["id"]
    ended = run("api-key", "create", "--workspace", workspace, *options, "--json")
    document = ended.document
    assert set(document) == {"id", "api_key"}
    assert credentials.key_id_of(document["api_key"]) is not None
    assert document["api_key"] not in ended.err
    row = stored_key(tmp_path, document["id"])
    assert row.scopes == scopes
    assert row.expires_at is None
    assert row.workspace_id == decode("wsp", workspace)
    assert document["api_key"].split("_")[2] not in row.digest


@pytest.mark.parametrize(
    ("text", "lasts"),
    [
        ("90d", timedelta(days=90)),
        ("12h", timedelta(hours=12)),
        ("30m", timedelta(minutes=30)),
        ("45s", timedelta(seconds=45)),
    ],
)
def test_api_key_expires(run: Run, tmp_path: Path, text: str, lasts: timedelta) -> None:
    """Count `--expires-in` in days, hours, minutes or seconds from now."""
    workspace = run("workspace", "create", "A", "--json").document["id"]
    arguments = ("--workspace", workspace, "--scope", "all", "--expires-in", text, "--json")
    made = run("api-key", "create", *arguments).document
    expires_at = stored_key(tmp_path, made["id"]).expires_at
    assert expires_at is not None
    assert abs(expires_at - now() - lasts) < timedelta(seconds=10)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--workspace", NEVER), "at least one --scope"),
        (("--workspace", NEVER, "--scope", "tokens:read"), "no such scope: tokens:read"),
        (("--workspace", NEVER, "--scope", "users:read", "--scope", "x"), "no such scope: x"),
        (("--workspace", NEVER, "--scope", "all", "--expires-in", "soon"), "--expires-in"),
        (("--workspace", NEVER, "--scope", "all", "--expires-in", "0d"), "--expires-in"),
        (("--workspace", NEVER, "--scope", "all", "--expires-in", "-1d"), "--expires-in"),
        (("--workspace", NEVER, "--scope", "all", "--expires-in", "90"), "--expires-in"),
        (("--workspace", NEVER, "--scope", "all", "--expires-in", "100000d"), "--expires-in"),
        (("--workspace", "acme", "--scope", "all"), "not a workspace id"),
        (("--workspace", "ptn" + NEVER[3:], "--scope", "all"), "not a workspace id"),
        (("--workspace", NEVER, "--scope", "all"), "there is no such workspace"),
        (("--workspace", NEVER, "--scope", "all", "--name", "x" * 201), "1 to 200 characters"),
        (("--scope", "all"), "--workspace"),
    ],
)
def test_invalid_api_key_is_refused(run: Run, arguments: tuple[str, ...], said: str) -> None:
    """Name the mistake on standard error, with nothing on standard output."""
    ended = run("api-key", "create", *arguments, "--json")
    assert ended.code != 0
    assert ended.out == ""
    # Rich breaks the sentence at the width of a terminal.
    assert said in re.sub(r"[\s│]+", " ", ended.err)
    assert "Traceback" not in ended.err
