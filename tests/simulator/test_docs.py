"""Tests that docs/reference/simulator.md agrees with the code and that its commands work."""

import doctest
import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from graph_simulator import published
from graph_simulator.app import create_app
from graph_simulator.control.mutations import MUTATIONS
from graph_simulator.control.routes import OPERATIONS
from graph_simulator.runtime.faults import FAULT_KEYS, MATCH_KEYS
from graph_simulator.switches import Switches
from graph_simulator.world import build_world
from tests.support.pages import assert_printed, commands, request_of

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "simulator.md").read_text(
    encoding="utf-8"
)
_ASSIGNMENT = re.compile(r"(\w+)=\$\((.*) \| jq -r '(\S+)'\)")


def rows_of(table: dict[str, str]) -> set[str]:
    return {f"| `{name}` | {about} |" for name, about in table.items()}


@pytest.mark.parametrize(
    "rows",
    [
        rows_of(OPERATIONS),
        rows_of(FAULT_KEYS),
        rows_of(MATCH_KEYS),
        rows_of({name: one.about for name, one in MUTATIONS.items()}),
    ],
    ids=["operations", "faults", "match", "mutations"],
)
def test_every_operation_fault_match_and_mutation_is_on_the_page(rows: set[str]) -> None:
    """Compare with the texts in the code, so that neither can change alone."""
    assert rows - set(PAGE.splitlines()) == set()


def test_every_switch_is_on_the_page() -> None:
    """Compare default, choices and meaning."""
    for switch in Switches().describe():
        default, choices = json.dumps(switch["default"]), switch["choices"]
        assert isinstance(choices, list)
        listed = ", ".join(map(str, choices))
        row = f"| `{switch['name']}` | `{default}` | {listed} | {switch['about']} |"
        assert row in PAGE.splitlines()


def test_tables_list_no_removed_name() -> None:
    """Compare the names in the first column of all tables with the names in the code."""
    known = {*OPERATIONS, *FAULT_KEYS, *MATCH_KEYS, *MUTATIONS, *Switches().values()}
    assert set(re.findall(r"^\| `([^`]+)` \|", PAGE, re.MULTILINE)) == known


async def test_commands_print_the_output_on_the_page() -> None:
    """Run all commands in order in one world. `…` matches any text."""
    transport = httpx.ASGITransport(app=create_app(build_world()))
    known: dict[str, str] = {}
    ran = 0
    async with httpx.AsyncClient(transport=transport) as http:
        for command, output in commands(PAGE):
            assigned = _ASSIGNMENT.fullmatch(command)
            if assigned:
                answer = await http.send(request_of(assigned[2], known))
                known[assigned[1]] = select_json_value(answer.json(), assigned[3])
            elif command.startswith("curl "):
                answer = await http.send(request_of(command, known))
                assert_printed(output, answer.text)
                ran += 1
    assert ran >= 10


def select_json_value(found: object, path: str) -> str:
    """Return what `jq -r` prints for a simple path such as `.partners[0].tokens.good`."""
    for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        if isinstance(found, list):
            found = found[int(index)]
        elif isinstance(found, dict):
            found = found[key]
    return str(found)


def test_fixture_for_other_projects_passes_when_copied(tmp_path: Path) -> None:
    """Run the test that the page shows, alone in a directory."""
    (snippet,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "test_other_project.py").write_text(snippet)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_other_project.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stdout
    assert "1 passed" in ran.stdout


def test_python_examples_print_what_they_show() -> None:
    """Run the examples of the page and of the module `published`."""
    blocks = re.findall(r"^```pycon\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    for text in (*blocks, published.__doc__ or ""):
        result = runner.run(parser.get_doctest(text, {}, "page", None, None))
        assert result.attempted >= 2
        assert result.failed == 0
