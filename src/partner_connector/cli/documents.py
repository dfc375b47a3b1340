"""`partner-connector openapi` and `problems`: documents generated from the code."""

import json
from pathlib import Path

from partner_connector.api.openapi import openapi_document
from partner_connector.cli.terminal import report
from partner_connector.errors import OperatorError


def openapi() -> str:
    """Return the OpenAPI document in the form of the committed file."""
    return json.dumps(openapi_document(), indent=2, ensure_ascii=False) + "\n"


def write(text: str, out: Path | None, check: Path | None) -> None:
    """Print the text, write it to `out`, or compare it with `check`."""
    if check is not None:
        if check.read_text(encoding="utf-8") != text:
            raise OperatorError(f"{check} differs from what the code generates: run `make openapi`")
        report(f"{check} is up to date")
    elif out is not None:
        out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
