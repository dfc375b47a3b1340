"""The programs of docs/how-to/onboard-a-partner.md, with clients generated from the API.

They compile under the strictest rules, and print what the simulated Meta has.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from partner_connector.cli.serving import address, listen
from tests.journey import truth
from tests.journey.caller import Caller
from tests.journey.meta import Json
from tests.journey.stacks import Stack

CHECKOUT = Path(__file__).parents[2]
DOCUMENT = CHECKOUT / "openapi" / "openapi.json"
NODE = Path(sys.executable).with_name("node")
INSTALLED = CHECKOUT / "tests" / "javascript" / "node_modules"
TOOLS = CHECKOUT / ".venv-tools" / "bin"
TYPESCRIPT = """{"compilerOptions": {"strict": true, "noEmit": true, "target": "ES2022",
"module": "NodeNext", "allowImportingTsExtensions": true, "exactOptionalPropertyTypes": true,
"noUncheckedIndexedAccess": true, "skipLibCheck": true, "types": ["node"]},
"include": ["*.ts"]}"""
MYPY = """[mypy]
strict = true

[mypy-connector_client.client]
# The generator's template passes on the arguments of `__exit__` without types.
ignore_errors = true
"""


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Run a program to its end, and return its output."""
    environment = os.environ | {"PATH": f"{TOOLS}:{os.environ['PATH']}"} | variables
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sample(language: str) -> str:
    """Return the page's one program in this language."""
    text = (CHECKOUT / "docs" / "how-to" / "onboard-a-partner.md").read_text(encoding="utf-8")
    (program,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(program)


def curl(directory: Path) -> list[str | Path]:
    """Return the curl program, which needs no generated client."""
    program = directory / "quick-start.sh"
    program.write_text(sample("bash"), encoding="utf-8")
    return ["bash", program]


def typescript(directory: Path) -> list[str | Path]:
    """Generate with openapi-typescript and openapi-fetch, and compile with strict tsc."""
    (directory / "node_modules").symlink_to(INSTALLED, target_is_directory=True)
    (directory / "tsconfig.json").write_text(TYPESCRIPT, encoding="utf-8")
    (directory / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    (directory / "quick-start.ts").write_text(sample("typescript"), encoding="utf-8")
    tool = INSTALLED / "openapi-typescript" / "bin" / "cli.js"
    options = ("--output", "api.ts", "--default-non-nullable", "false")
    run(NODE, tool, DOCUMENT, *options, cwd=directory)
    run(NODE, INSTALLED / "typescript" / "bin" / "tsc", cwd=directory)
    return [NODE, "quick-start.ts"]


def python(directory: Path) -> list[str | Path]:
    """Generate with openapi-python-client without a warning, and check with mypy --strict."""
    (directory / "quick_start.py").write_text(sample("python"), encoding="utf-8")
    (directory / "mypy.ini").write_text(MYPY, encoding="utf-8")
    options = ("--meta", "none", "--output-path", "connector_client", "--fail-on-warning")
    tool = TOOLS / "openapi-python-client"
    run(tool, "generate", "--path", DOCUMENT, *options, cwd=directory)
    run(TOOLS / "mypy", "connector_client", "quick_start.py", cwd=directory)
    return [TOOLS / "python", "quick_start.py"]


@pytest.fixture
def partner(caller: Caller) -> Json:
    """Partner with a shared asset that has users, before it is connected."""
    known = caller.meta.partners()
    return next(one for one in known.values() if truth.users(one))


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
@pytest.mark.parametrize("prepare", [curl, typescript, python])
def test_sample_program_prints_the_partners_users(
    stack: Stack,
    caller: Caller,
    partner: Json,
    tmp_path: Path,
    prepare: Callable[[Path], list[str | Path]],
) -> None:
    """Assert that the program prints the users and their assets as Meta has them."""
    host = caller.meta.host()
    command = prepare(tmp_path)
    printed = run(
        *command,
        cwd=tmp_path,
        API_URL=stack.api.url,
        API_KEY=caller.api_key,
        BUSINESS_ID=host["id"],
        BUSINESS_TOKEN=host["token"],
        PARTNER_ID=partner["id"],
        PARTNER_TOKEN=caller.meta.token(partner["id"]),
        NO_PROXY="*",
    )

    users = truth.users(partner)
    lines = printed.splitlines()
    assert lines[:3] == ["Complete", "connectable", "connectable"]
    assert lines[-1] == f"{len(users)} joined"
    names = {line.split(": ")[0] for line in lines[3:-1]}
    assert len(lines[3:-1]) == len(users)
    assert names == {str(user["name"]) for user in users.values()}
    assert all(line.split(": ")[1] for line in lines[3:-1])


@pytest.mark.nightly
def test_with_connector_script_runs_a_command_and_cleans_up(tmp_path: Path) -> None:
    """Run a command in `docs/samples/with-connector.sh`, and assert that nothing is left."""
    ports = {}
    for name in ("API_PORT", "GRAPH_PORT"):
        with listen("127.0.0.1", 0) as free:
            ports[name] = address(free).rsplit(":", 1)[1]
    script = CHECKOUT / "docs" / "samples" / "with-connector.sh"
    ours = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    printed = run(
        script,
        *curl(tmp_path),
        cwd=tmp_path,
        PATH=ours,
        TMPDIR=str(tmp_path),
        NO_PROXY="*",
        **ports,
    )

    assert "connectable" in printed.splitlines()
    assert printed.splitlines()[-1].endswith(" joined")
    assert [path.name for path in tmp_path.iterdir()] == ["quick-start.sh"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{ports['API_PORT']}/livez", trust_env=False)
