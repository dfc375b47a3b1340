"""Time from the start of `serve` to its first answer, compared with its imports alone.

A process that does nothing else imports the libraries of `serve` in the same order. Both times
include the start of the interpreter. The byte code is compiled before.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from benchmarks.measure import Goal, Options, Report, Row, in_turn, run
from benchmarks.product import product
from benchmarks.serving import open_listener
from tests.support.processes import environment

MAX_RATIO_IMPORTS = 1.5
_NO_META = "http://127.0.0.1:9"
_TIMEOUT_SECONDS = 30
_OWN = ("partner_connector", "__main__")
_LOADED = "import json, sys, partner_connector.cli.serving; print(json.dumps(list(sys.modules)))"
# Some modules can only be imported by their package, which was imported before.
_IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError:
        pass
"""


def measure(options: Options) -> Report:
    """Measure a start of the API and the imports in turn, on a migrated database."""
    libraries = _libraries()
    with product("SQLite", _NO_META) as running:
        seconds = in_turn(
            options.repeat,
            {
                "interpreter": lambda: _timed([sys.executable, "-c", "pass"]),
                "imports": lambda: _timed([sys.executable, "-c", _IMPORT_ALL, *libraries]),
                "serve, to its first answer": lambda: _first_answer(
                    running.settings, running.directory
                ),
            },
        )
    rows = [Row(name, [1000 * each for each in values], "ms") for name, values in seconds.items()]
    goal = Goal("serve / imports", rows[2].median / rows[1].median, MAX_RATIO_IMPORTS)
    return Report("Cold start", "`serve` on SQLite until `/livez` answers.", rows, [goal])


def _libraries() -> list[str]:
    """Return all modules that `serve` imports, except the product's own."""
    listed = subprocess.run([sys.executable, "-c", _LOADED], check=True, capture_output=True)
    names: list[str] = json.loads(listed.stdout)
    return [name for name in names if name.partition(".")[0] not in _OWN]


def _timed(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - began


def _first_answer(settings: Mapping[str, str], directory: Path) -> float:
    """Return the seconds until `/livez` answers, polled in a loop."""
    with open_listener() as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "partner_connector", "serve", "--port", str(port)]
    began = time.perf_counter()
    with (
        (directory / "cold.log").open("ab") as log,
        subprocess.Popen(
            command, env=environment(settings), cwd=directory, stdout=log, stderr=log
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
    ):
        try:
            while time.perf_counter() - began < _TIMEOUT_SECONDS:
                try:
                    http.get("/livez").raise_for_status()
                except httpx.TransportError:
                    time.sleep(0.002)
                else:
                    return time.perf_counter() - began
        finally:
            process.terminate()
    raise TimeoutError(f"no answer within {_TIMEOUT_SECONDS} s")


if __name__ == "__main__":
    run(__doc__, measure)
