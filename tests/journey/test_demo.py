"""`partner-connector demo`, as somebody who just installed the product runs it."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from graph_simulator.truth import tell
from graph_simulator.world import build_world
from tests.journey import truth
from tests.support.processes import run_cli


def test_the_demo_walks_the_whole_journey_however_often(tmp_path: Path) -> None:
    """Two at once: each ends with 0, shows its partner's users and assets, and leaves nothing."""
    ports = ("--port", "0", "--graph-port", "0")
    with ThreadPoolExecutor(max_workers=2) as pool:
        runs = [
            pool.submit(run_cli, "demo", "--once", *ports, settings={}, cwd=tmp_path)
            for _ in range(2)
        ]
    world = tell(build_world())
    agencies = [item for item in world["partners"] if item["relationship"] == "agency"]
    partner = min(agencies, key=lambda item: str(item["name"]))
    tokens = [text for owner in world["partners"] for text in owner["tokens"].values()]
    for done in (run.result() for run in runs):
        assert (done.returncode, done.stderr) == (0, "")
        for name in truth.names(partner):
            assert name in done.stdout
        for asset in partner["shared_assets"]:
            assert asset["name"] in done.stdout
        assert "Traceback" not in done.stdout
        assert not [text for text in tokens if text in done.stdout]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--port", "--graph-port"])
def test_a_busy_port_ends_the_demo_in_one_line(tmp_path: Path, option: str) -> None:
    """Exit code 1, and one line that names the port and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ports = {"--port": "0", "--graph-port": "0"} | {option: port}
        arguments = [part for pair in ports.items() for part in pair]
        done = run_cli("demo", "--once", *arguments, settings={}, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert port in done.stderr
    assert "another port" in done.stderr
