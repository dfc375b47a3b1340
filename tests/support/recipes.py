"""Recipes of docs/how-to, whose commands run exactly as they are on the page."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.support import postgres_wheel
from tests.support.pages import assert_printed, commands, request_of
from tests.support.processes import environment

PAGES = (Path(__file__).parents[2] / "docs" / "how-to").glob("*.md")
RECIPES = "\n".join(page.read_text(encoding="utf-8") for page in sorted(PAGES))
_PROGRAMS = (Path(sys.executable).parent, postgres_wheel.PROGRAMS)


def recipe(heading: str) -> list[tuple[str, str]]:
    """Return the commands below a heading, each with the output that the page shows."""
    (section,) = re.findall(rf"^#+ {heading}\n(.*?)(?=^#|\Z)", RECIPES, re.MULTILINE | re.DOTALL)
    return list(commands(section))


class Shell:
    """Operator's terminal: variables last, and `curl` calls the API at `api_url`."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        self.directory = directory
        self.api_url = ""
        self.known: dict[str, str] = {}
        """Variables that the page uses and does not set."""
        self._environment = environment(settings)
        paths = (*map(str, _PROGRAMS), self._environment["PATH"])
        self._environment["PATH"] = ":".join(paths)

    def follow(self, *recipe: tuple[str, str]) -> str:
        """Run the commands. Return the output of the last one."""
        printed = ""
        for command, expected in recipe:
            run = self._send if command.startswith("curl ") else self._run
            printed = run(command)
            if expected:
                assert_printed(expected, printed)
        return printed

    def _send(self, command: str) -> str:
        here = command.replace("localhost:8000", self.api_url.removeprefix("http://"))
        with httpx.Client(trust_env=False, timeout=60) as http:
            return http.send(request_of(here, self.known)).text

    def _run(self, command: str) -> str:
        # Print the environment last, so that the next command runs with its variables.
        done = subprocess.run(
            ["/bin/sh", "-c", f"set -e\n{command}\nprintf '\\0'\nenv -0"],
            cwd=self.directory,
            env=self._environment | self.known,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        printed, *variables = done.stdout.split("\0")
        self._environment = dict(pair.split("=", 1) for pair in variables if "=" in pair)
        # The command line writes its messages for people to standard error.
        return (done.stderr + printed).strip()
