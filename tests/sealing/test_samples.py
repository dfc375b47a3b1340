"""The sealing programs of docs/how-to/hand-over-a-token.md, in Python and JavaScript."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast
from uuid import UUID

import pytest
from sqlalchemy import select

from partner_connector.cli import provision
from partner_connector.db.engine import Database
from partner_connector.db.models import Token
from partner_connector.ids import encode
from partner_connector.sealing.private import PrivateKeyring
from partner_connector.sealing.public import PublicKeyring
from partner_connector.sealing.reloading import ReloadingKeyring
from partner_connector.settings import Settings
from partner_connector.worker import token_decryption
from tests.api import rows
from tests.support.clients import make_tenant
from tests.support.processes import Running, api_process

CHECKOUT = Path(__file__).parents[2]
TOKEN = "EAABsbCS1iHgBO0made0up0for0these0tests0only"
ONLY_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def sample(language: str) -> str:
    """Return the page's one program in this language."""
    page = (CHECKOUT / "docs" / "how-to" / "hand-over-a-token.md").read_text(encoding="utf-8")
    text = page.split("## Sealed by your own program\n")[1]
    (program,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(program)


def python_command(directory: Path) -> list[str]:
    """Write the Python program, and return the command that starts it."""
    path = directory / "seal.py"
    path.write_text(sample("python"), encoding="utf-8")
    return [sys.executable, str(path)]


def javascript_command(directory: Path) -> list[str]:
    """Write the JavaScript program beside its installed packages, and return its command."""
    path = directory / "seal.mjs"
    path.write_text(sample("javascript"), encoding="utf-8")
    installed = CHECKOUT / "tests" / "javascript" / "node_modules"
    (directory / "node_modules").symlink_to(installed, target_is_directory=True)
    return [str(Path(sys.executable).with_name("node")), str(path)]


def run_sample(command: list[str], api: Running, api_key: str, partner_id: str) -> str:
    """Run the program with the token on its standard input, and return its output."""
    named = {"API_URL": api.url, "API_KEY": api_key, "PARTNER_ID": partner_id, "no_proxy": "*"}
    done = subprocess.run(
        command,
        input=f"{TOKEN}\n",
        env=os.environ | named,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@ONLY_SQLITE
@pytest.mark.parametrize(
    "command", [python_command, javascript_command], ids=["python", "javascript"]
)
async def test_sample_hands_over_a_sealed_token(
    settings: Settings,
    database: Database,
    tmp_path: Path,
    command: Callable[[Path], list[str]],
) -> None:
    """Run against a process that refuses unsealed tokens.

    The stored box opens as the token, and neither the process's log nor the program's output
    contains it.
    """
    ring = ReloadingKeyring(_keyring_in(tmp_path))
    tenant = await make_tenant(database, PublicKeyring(ring))
    integration = rows.integration(cast("UUID", tenant.workspace_id))
    partner = rows.partner(integration)
    await rows.store(database, integration, partner)
    api_settings = {
        "DATABASE_URL": str(settings.sqlalchemy_url()),
        "DATA_DIR": str(tmp_path),
        "KEYRING_FILE": str(provision.public_sibling(ring.path)),
        "REQUIRE_SEALED_TOKENS": "true",
    }
    with api_process(api_settings, tmp_path) as api:
        printed = run_sample(command(tmp_path), api, tenant.api_key, encode("ptn", partner.id))
        assert re.fullmatch(r"val_[0-9a-z]{26} queued\n", printed)
        assert TOKEN not in printed + api.log
    async with database.reading() as session:
        token = (await session.scalars(select(Token))).one()
    assert token_decryption.open_token(token, PrivateKeyring(ring)) == TOKEN


def _keyring_in(directory: Path) -> Path:
    path = directory / "keyring.json"
    provision.generate_keyring(path)
    return path
