"""How commands answer, and how a person writes a duration."""

import json
import re
import sys
from datetime import timedelta
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Answer one JSON object.")]
_DURATION = re.compile(r"^([1-9][0-9]{0,4})([smhd])$")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def tell(message: str) -> None:
    """What a person should know, kept apart from the answer."""
    print(message, file=sys.stderr)


def answer(as_json: bool, document: dict[str, Any], sentence: str) -> None:
    """The answer, for a program or for a person."""
    print(json.dumps(document) if as_json else sentence)


def duration(option: str, text: str) -> timedelta:
    """As `90d`, `12h`, `30m` or `10s`. Raises `BadParameter` that names the option."""
    match = _DURATION.match(text)
    if match is None:
        raise typer.BadParameter(f"{option} is a number and s, m, h or d, as in 90d")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
