"""Upgrade during work: the new version finishes what the old version began.

The old version is a copy of this one, as it would be installed, with another version number and
with a step in the parent job that this one no longer has.
"""

import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import httpx
import pytest

from partner_connector import __version__
from partner_connector.db.engine import migrations_directory
from tests.journey.caller import wait_until
from tests.support.databases import PostgresTemplate
from tests.survival.customer import customer
from tests.survival.deployment import Deployment, deployment

pytestmark = pytest.mark.nightly

SOURCE = Path(__file__).parents[2] / "src" / "partner_connector"
OLDER_VERSION = "0.0.9"
LATENCY_SECONDS = 0.5
BEGINS = "            answer = await self.begin(job_id, attempt)\n"
BEGAN = """\
            begin = self.start if read == self.read_partners else self.begin
            answer = await begin(job_id, attempt)
"""
FIRST_STEP = '    @DBOS.step(name="begin")\n'
OLDER_STEP = """\
    @DBOS.step(name="start")
    async def start(self, job_id: str, attempt: int) -> str:
        return await self.begin(job_id, attempt)

"""


def change(file: Path, what: str, into: str) -> None:
    """Replace text in a copied source file."""
    code = file.read_text(encoding="utf-8")
    assert code.count(what) == 1, (file, what)
    file.write_text(code.replace(what, into), encoding="utf-8")


@pytest.fixture
def older_code(tmp_path: Path) -> Path:
    """Directory from which Python imports the old version."""
    package = tmp_path / "older" / "partner_connector"
    shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(migrations_directory(), package / "migrations", dirs_exist_ok=True)
    change(package / "__init__.py", f'"{__version__}"', f'"{OLDER_VERSION}"')
    workflow = package / "worker" / "sync" / "workflow.py"
    change(workflow, BEGINS, BEGAN)
    change(workflow, FIRST_STEP, f"{OLDER_STEP}{FIRST_STEP}")
    return package.parent


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """None for SQLite in the data directory, or an empty PostgreSQL database."""
    if request.param == "sqlite":
        yield None
        return
    server: PostgresTemplate = request.getfixturevalue("postgres")
    with server.empty() as url:
        yield url


def version(running: Deployment) -> str:
    """Return the version of the API that answers."""
    url = f"{running.api.url}/openapi.json"
    document = httpx.get(url, trust_env=False, timeout=60).json()
    return str(document["info"]["version"])


def upgrade(running: Deployment) -> None:
    """Replace the processes by ones of the new version.

    On PostgreSQL the old processes are stopped, as an orchestrator does it; on SQLite the one
    process is killed.
    """
    (old,) = running.workers
    if running.is_embedded:
        running.kill_worker(old)
        running.start_worker()
        return
    assert running.workers.pop(old).stop() == 0
    running.start_worker()
    assert running.api.stop() == 0
    running.start_api()


def test_new_version_finishes_work_of_the_old_version(
    database_url: str | None, older_code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assert that no work is lost or repeated by an upgrade.

    A check and a validation continue where they were. A check with a removed step starts again as
    its next attempt.
    """
    monkeypatch.setenv("PYTHONPATH", str(older_code))
    with (
        deployment(tmp_path / "run", database_url, partners=2, workers=1) as running,
        customer(running) as subject,
    ):
        assert version(running) == OLDER_VERSION
        monkeypatch.delenv("PYTHONPATH")
        caller, (one, other) = subject.caller, subject.partners
        caller.meta.mutate("join", partner=one["meta_business_id"])
        caller.meta.latency(LATENCY_SECONDS)
        same_steps, other_steps = caller.start_check(one), caller.start_check(subject.integration)
        validation = caller.ask(
            "POST",
            f"/v1/partners/{other['id']}/token-validations",
            json={"access_token": caller.meta.token(other["meta_business_id"])},
        )
        assert validation.status_code == 202
        wait_until(
            lambda: sorted(chain(*running.runs_in_hand().values())),
            lambda behind: behind == ["begin", "start", "taken"],
        )
        upgrade(running)
        assert version(running) == __version__
        caller.meta.latency(0.0)
        subject.ended(same_steps, other_steps)
        assert (
            caller.wait_for_validation(validation.headers["Location"])["verdict"] == "connectable"
        )
        assert caller.job(same_steps)["attempt"] == 1
        assert caller.job(other_steps)["attempt"] == 2
        checked = (same_steps, other_steps)
        assert subject.violations(*checked, first_attempt_only=False) == []
        assert subject.left_over() == []
