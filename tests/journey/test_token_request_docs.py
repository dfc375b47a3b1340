"""docs/token-requests.md is true: its commands answer so, and its program hands a token over."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.journey.caller import Caller, one
from tests.journey.stacks import Stack
from tests.support.pages import assert_printed, commands, request_of

PAGE = (Path(__file__).parents[2] / "docs" / "token-requests.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("stack", ["embedded"], indirect=True)
def test_the_page_can_be_followed(stack: Stack, caller: Caller, tmp_path: Path) -> None:
    """Both sides in the page's order; after the token that is refused its program runs."""
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
    """The program of the page, copied out of it, and what it prints."""
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
