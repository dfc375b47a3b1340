"""Work that an older program has begun is finished by this one.

The older program is a copy of this one, as it would be installed, with another version, and with a
step in the check of all partners that this one no longer has.
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
    """Of a copy of our code."""
    code = file.read_text(encoding="utf-8")
    assert code.count(what) == 1, (file, what)
    file.write_text(code.replace(what, into), encoding="utf-8")


@pytest.fixture
def older_code(tmp_path: Path) -> Path:
    """Where Python finds the older program."""
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
    """None for SQLite in the data directory, or an empty database of PostgreSQL."""
    if request.param == "sqlite":
        yield None
        return
    server: PostgresTemplate = request.getfixturevalue("postgres")
    with server.empty() as url:
        yield url


def version(running: Deployment) -> str:
    """What the API that answers is."""
    document = httpx.get(f"{running.api.url}/openapi.json", trust_env=False).json()
    return str(document["info"]["version"])


def upgrade(running: Deployment) -> None:
    """On PostgreSQL the old processes are asked to stop, as an orchestrator does it; on SQLite the
    one process dies without a word.
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


def test_a_newer_program_finishes_what_an_older_one_began(
    database_url: str | None, older_code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check and a proof go on where they were. A check with a step that is no more begins anew as
    its next attempt. Nothing is lost, and nothing is told twice.
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
        proof = caller.ask(
            "POST",
            f"/v1/partners/{other['id']}/token-validations",
            json={"access_token": caller.meta.token(other["meta_business_id"])},
        )
        assert proof.status_code == 202
        wait_until(
            lambda: sorted(chain(*running.runs_in_hand().values())),
            lambda behind: behind == ["begin", "start", "taken"],
        )
        upgrade(running)
        assert version(running) == __version__
        caller.meta.latency(0.0)
        subject.ended(same_steps, other_steps)
        assert caller.proven(proof.headers["Location"])["verdict"] == "connectable"
        assert caller.job(same_steps)["attempt"] == 1
        assert caller.job(other_steps)["attempt"] == 2
        checked = (same_steps, other_steps)
        assert subject.violations(*checked, first_attempt_only=False) == []
        assert subject.left_over() == []
