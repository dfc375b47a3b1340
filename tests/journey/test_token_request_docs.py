"""Commands and program of docs/how-to/hand-over-a-token.md, and the output that it shows."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.journey.caller import Caller, one
from tests.journey.stacks import Stack
from tests.support.pages import assert_printed, commands, request_of

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "how-to" / "hand-over-a-token.md").read_text(encoding="utf-8")
PAGE = TEXT.split("## Sealed by your own program\n")[0]


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_commands_of_the_page_print_what_it_shows(
    stack: Stack, caller: Caller, tmp_path: Path
) -> None:
    """Run both sides in the page's order; after the refused token run its program."""
    _, partners = caller.discover()
    partner = one(each for each in partners.values() if each["name"] == "Bluefin Foods")
    tokens = caller.meta.partner(partner["meta_business_id"])["tokens"]
    known: dict[str, str] = {
        "PARTNER": partner["id"],
        "KEY": caller.api_key,
        "TOKEN_WITH_FIVE_PERMISSIONS": tokens["missing_scope"],
    }
    ran = 0
    with httpx.Client(trust_env=False, timeout=60) as http:
        for command, output in commands(PAGE):
            if ran == 4:
                assert run_the_program(tmp_path, known["LINK"], tokens["good"]) == "connectable"
            here = command.replace("localhost:8000", stack.api.url.removeprefix("http://"))
            answer = http.send(request_of(here, known))
            assert_printed(output, answer.text)
            if ran == 0:
                made = answer.json()
                known |= {"REQUEST": made["id"], "CODE": made["code"], "LINK": made["url"]}
            ran += 1
    assert ran == 6
    caller.settle(partner)


def run_the_program(directory: Path, link: str, token: str) -> str:
    """Run the page's program, and return its output."""
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (directory / "hand_over.py").write_text(program, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "hand_over.py"],
        cwd=directory,
        env={"LINK": link},
        input=f"{token}\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()
