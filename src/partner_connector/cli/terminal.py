"""Output of commands, and durations as a person writes them."""

import json
import re
import sys
from datetime import timedelta
from typing import Annotated, Any

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_DURATION = re.compile(r"^([1-9][0-9]{0,4})([smhd])$")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def report(message: str) -> None:
    """Print a message for a person to standard error, apart from the command's result."""
    print(message, file=sys.stderr)


def print_result(as_json: bool, document: dict[str, Any], text: str) -> None:
    """Print the command's result to standard output: as JSON, or as text for a person."""
    print(json.dumps(document) if as_json else text)


def duration(option: str, text: str) -> timedelta:
    """Parse `90d`, `12h`, `30m` or `10s`. Raises `BadParameter`, which names the option."""
    match = _DURATION.match(text)
    if match is None:
        raise typer.BadParameter(f"{option} must be a number and s, m, h or d, such as 90d")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
