"""The command line in the process of the tests: the same `main`, without a new interpreter."""

import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from partner_connector.cli.commands import main
from partner_connector.settings import ENV_PREFIX, Settings


@dataclass(frozen=True, slots=True)
class Ended:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object that standard output consists of."""
        assert self.code == 0, self.err
        found: dict[str, Any] = json.loads(self.out)
        return found


Run = Callable[..., Ended]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Run]:
    """Runner of commands with the given settings, in an empty directory."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{ENV_PREFIX}{name.upper()}", raising=False)

    def run_command(*arguments: str, **settings: str) -> Ended:
        with monkeypatch.context() as patch, warnings.catch_warnings():
            # The end of a process would close the sockets; here the garbage collector closes them.
            warnings.simplefilter("ignore", ResourceWarning)
            for name, value in settings.items():
                patch.setenv(f"{ENV_PREFIX}{name}", value)
            patch.setattr(sys, "argv", ["partner-connector", *arguments])
            code = _exit_code_of_main()
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    yield run_command
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)


def _exit_code_of_main() -> int:
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0
