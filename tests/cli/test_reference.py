"""`docs/reference/cli.md` names exactly the commands, arguments and options of the program."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from partner_connector.cli.commands import cli

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def parameters_of_commands() -> Iterator[tuple[str, set[str]]]:
    """Yield the path of each command, with its arguments and options."""
    waiting: list[tuple[str, Any]] = [("partner-connector", get_command(cli))]
    while waiting:
        path, command = waiting.pop()
        if children := getattr(command, "commands", None):
            waiting += [(f"{path} {name}", child) for name, child in children.items()]
            continue
        yield path, {_name_on_the_page(parameter) for parameter in command.params}


def _name_on_the_page(parameter: Any) -> str:
    """Return `KEY_ID` for an argument and `--port` for an option."""
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    return str(max(parameter.opts, key=len))


COMMANDS = dict(parameters_of_commands())


def sections() -> dict[str, str]:
    """Return the text below the heading of each command."""
    found = re.findall(
        r"^### (.+?)\n(.*?)(?=^##|\Z)", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return dict(found)


def test_page_has_a_section_for_each_command() -> None:
    """Describe every command and no other."""
    assert set(sections()) == set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_section_lists_every_parameter(path: str) -> None:
    """List every argument and option of the command and no other."""
    listed = re.findall(r"^\| `([^`]+)` \|", sections()[path], re.MULTILINE)
    assert set(listed) == COMMANDS[path]
