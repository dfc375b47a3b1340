"""Commands of the tutorial `docs/tutorial/first-hour.md`, and the output that it shows."""

from pathlib import Path

import pytest

from tests.journey.stacks import settings_for, simulated_meta
from tests.support.pages import commands
from tests.support.processes import api_process
from tests.support.recipes import Shell

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "first-hour.md"


class Terminal(Shell):
    """Shell that runs curl and jq as programs against the addresses of this test."""

    graph_url = ""

    def _send(self, command: str) -> str:
        return self._run(command)

    def _run(self, command: str) -> str:
        addresses = {"localhost:8000": self.api_url, "localhost:8001": self.graph_url}
        for shown, url in addresses.items():
            command = command.replace(shown, url.removeprefix("http://"))
        return super()._run(command)


@pytest.mark.nightly
def test_tutorial_prints_what_it_shows(tmp_path: Path) -> None:
    """Run its commands; the test itself does the `sh` blocks (installation and servers)."""
    with simulated_meta(tmp_path) as meta:
        settings = settings_for(meta, tmp_path / "var")
        with api_process(settings, tmp_path, "--with-worker") as api:
            terminal = Terminal(tmp_path, settings)
            terminal.known = {"NO_PROXY": "*"}
            terminal.api_url, terminal.graph_url = api.url, meta.url
            steps = list(commands(PAGE.read_text(encoding="utf-8")))
            assert len(steps) >= 20
            terminal.follow(*steps)
