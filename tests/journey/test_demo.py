"""`partner-connector demo`, as a person who has just installed the product runs it."""

import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from graph_simulator import truth as simulator_truth
from graph_simulator.world import build_world
from tests.journey import truth
from tests.support.processes import Running, environment, run_cli

ANY_PORTS = ("--port", "0", "--graph-port", "0")


def test_demo_walks_the_whole_journey_twice_at_once(tmp_path: Path) -> None:
    """Show the partner's users and assets, and leave nothing: two processes at the same time."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        runs = [
            pool.submit(run_cli, "demo", "--once", *ANY_PORTS, settings={}, cwd=tmp_path)
            for _ in range(2)
        ]
    world = simulator_truth.tell(build_world(quirks=False))
    agencies = [item for item in world["partners"] if item["relationship"] == "agency"]
    partner = min(agencies, key=lambda item: str(item["name"]))
    asset_names = [asset["name"] for asset in partner["shared_assets"]]
    tokens = [text for owner in world["partners"] for text in owner["tokens"].values()]
    for done in (run.result() for run in runs):
        assert (done.returncode, done.stderr) == (0, "")
        for name in truth.names(partner):
            assert name in done.stdout
        for asset in partner["shared_assets"]:
            is_ambiguous = asset_names.count(asset["name"]) > 1
            assert asset["name"] in done.stdout
            assert (f"{asset['name']} ({asset['id']})" in done.stdout) is is_ambiguous
        assert re.search(r" group +\S", done.stdout)
        assert "Not counted yet: pixels" in done.stdout
        assert "Running · queued" not in done.stdout
        assert "Queued · " not in done.stdout
        assert "Traceback" not in done.stdout
        assert not [text for text in tokens if text in done.stdout]
    assert len(set(asset_names)) < len(asset_names)
    assert list(tmp_path.iterdir()) == []


def test_demo_ends_with_three_lines_that_work(tmp_path: Path) -> None:
    """Copy the curl command, the partner's link and the address of the documentation."""
    log_path = tmp_path / "demo.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "partner_connector", "demo", *ANY_PORTS],
            env=environment({}),
            cwd=tmp_path,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    demo = Running(process, log_path)
    try:
        until = time.monotonic() + 60
        while "Serving until Ctrl-C." not in demo.log and time.monotonic() < until:
            assert process.poll() is None, demo.log
            time.sleep(0.1)
        lines = demo.log.splitlines()
        (curl,) = [line for line in lines if line.startswith("curl ")]
        link, docs = [line for line in lines if line.startswith("http://")]
        key, url = re.fullmatch(r"curl -s -H 'Authorization: Bearer (\S+)' '(\S+)'", curl).groups()  # type: ignore[union-attr] # the line has this form
        with httpx.Client(trust_env=False) as client:
            users = client.get(url, headers={"Authorization": f"Bearer {key}"})
            assert users.json()["items"]
            assert "/connect#trc_" in link
            assert client.get(link.split("#")[0]).status_code == 200
            assert client.get(docs).status_code == 200
        assert demo.stop() == 0
    finally:
        if process.poll() is None:
            demo.kill()


@pytest.mark.parametrize("option", ["--port", "--graph-port"])
def test_busy_port_ends_the_demo_in_one_line(tmp_path: Path, option: str) -> None:
    """Exit with 1 and one line that names the port and what to do."""
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
