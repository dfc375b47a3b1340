"""Benchmarks: they start, compare results with goals, and their Graph server answers as Meta does.

These tests measure no speed: `make bench` does.
"""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from benchmarks.__main__ import NAMES
from benchmarks.fast_graph import FastGraph
from benchmarks.fast_world import APP_ID, KINDS, Name, Size, asset_at, token_of
from benchmarks.measure import Goal, Options, Report, Row, in_turn, run
from partner_connector.graph import GraphClient, GraphReader, edges, first_page, open_http_client
from partner_connector.worker.meta.shared_assets import SHARE_EDGES, AssetToRead, reads_with_people

ROOT = Path(__file__).parents[2]
URL = "http://127.0.0.1:9"
SIZE = Size(partners=3, assets=8, users=230)
PARTNER = Name("business", 0, 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.nightly
def test_each_benchmark_prints_help(name: str) -> None:
    """Check that every import of the program works, and its options exist."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--help"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert "--quick" in output
    assert "--strict" in output


def test_every_benchmark_is_in_list_of_names() -> None:
    """Check that `make bench` runs every program."""
    files = [path for path in (ROOT / "benchmarks").glob("*.py") if path.stem != "__main__"]
    programs = {path.stem for path in files if "__main__" in path.read_text(encoding="utf-8")}

    assert programs == set(NAMES)


@pytest.mark.parametrize(
    ("goal", "is_met"),
    [
        (Goal("as fast", 2.0, 2.0), True),
        (Goal("slower", 2.01, 2.0), False),
        (Goal("faster", 30.0, 30.0, at_least=True), True),
        (Goal("not fast enough", 29.9, 30.0, at_least=True), False),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_goal_is_met_at_its_limit(goal: Goal, is_met: bool) -> None:
    assert goal.is_met is is_met
    assert goal.cells()[-1] == ("pass" if is_met else "MISS")


def test_contenders_run_in_turn() -> None:
    """Check that a slow phase of the machine affects all contenders alike."""
    order: list[str] = []

    def contender(name: str, seconds: float) -> float:
        order.append(name)
        return seconds

    values = in_turn(2, {"a": lambda: contender("a", 1.0), "b": lambda: contender("b", 2.0)})

    assert order == ["a", "b", "a", "b"]
    assert values == {"a": [1.0, 1.0], "b": [2.0, 2.0]}


@pytest.mark.parametrize(
    ("arguments", "value", "exit_code"),
    [([], 3.0, None), (["--strict"], 3.0, 1), (["--strict"], 1.0, None)],
)
def test_missed_goal_is_printed_and_fails_only_with_strict(
    arguments: list[str],
    value: float,
    exit_code: int | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def measure(options: Options) -> Report:
        assert options == Options(repeat=5, quick=False)
        row = Row("it", [3.0, 1.0, 2.0, 9.0, 4.0], "s")
        return Report("A title", "A world.", [row], [Goal("it / that", value, 2.0)])

    monkeypatch.setattr(sys, "argv", ["benchmark", *arguments])
    actual_exit_code = None
    try:
        run("What it is.", measure)
    except SystemExit as end:
        actual_exit_code = end.code

    output = capsys.readouterr().out
    assert actual_exit_code == exit_code
    assert ("MISS" in output) is (value > 2.0)
    assert re.search(r"^it +3 s +1 s +9 s$", output, re.MULTILINE)


def reader(http: httpx.AsyncClient) -> GraphReader:
    return GraphClient(http, app_id=APP_ID).reader(token_of(PARTNER))


async def test_fast_graph_returns_every_grant_page_by_page() -> None:
    """Check that the product's own client reads every user of every asset exactly once."""
    transport = httpx.ASGITransport(FastGraph([SIZE]))
    seen: set[tuple[str, str]] = set()
    async with open_http_client(URL, transport=transport) as http:
        for place in range(SIZE.assets):
            asset = asset_at(0, 1, place)
            path = AssetToRead(asset.kind, asset.id, asset.id).path
            rows = await reader(http).rows(edges.assigned_users(path, PARTNER.id))
            assert all(row["business"]["id"] == PARTNER.id and row["tasks"] for row in rows)
            seen.update((asset.id, row["id"]) for row in rows)

    assert len(seen) == SIZE.grants


async def test_fast_graph_lists_assets_with_first_page_of_users() -> None:
    """Check that a batch returns the assets with a first page and the total count of users."""
    transport = httpx.ASGITransport(FastGraph([SIZE]))
    reads = reads_with_people(PARTNER.id)
    async with open_http_client(URL, transport=transport) as http:
        first_pages = await reader(http).batch([first_page(read) for read in reads])

    listed = {
        SHARE_EDGES[first.read.edge]: first.answer["data"]
        for first in first_pages
        if isinstance(first.answer, dict)
    }
    assert {kind: len(rows) for kind, rows in listed.items()} == dict.fromkeys(KINDS, 2)
    people = [row["assigned_users"] for kind in KINDS if kind != "page" for row in listed[kind]]
    assert all(len(page["data"]) < SIZE.users for page in people)
    assert all(page["summary"]["total_count"] == SIZE.users + 1 for page in people)
    assert all(page["paging"]["next"] for page in people)
