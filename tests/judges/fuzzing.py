"""Schemathesis against the running product, with two workspaces and a partner's code."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.journey.caller import Caller
from tests.journey.meta import Json
from tests.journey.stacks import Stack, embedded_stack
from tests.judges.tools import DOCUMENT, HERE, SCHEMATHESIS, passes

# A limit that is told and never met: with none there would be no headers to look at.
SETTINGS = {"RATE_LIMIT": "90000000/minute", "LOG_LEVEL": "INFO"}
# A link ends after some wrong tokens, as it should, and then all is told to be over.
# What it takes while it is open is held by the tests of the API.
OPERATIONS = """
[[operations]]
include-tag = "Hand-over"
checks.positive_data_acceptance.enabled = false
checks.negative_data_rejection.enabled = false

# What was revoked stays on record, and can be read.
[[operations]]
include-operation-id = "getTokenRequest"
checks.use_after_free.enabled = false
"""


@contextmanager
def stage(directory: Path) -> Iterator[tuple[Stack, Caller, Json]]:
    """A product with connected partners, and a link for another one."""
    with embedded_stack(directory, settings=SETTINGS) as stack, stack.caller() as caller:
        integration, partners = caller.discover()
        first, *others = partners.values()
        for partner in others:
            caller.connected(partner)
        caller.check(integration)
        link = caller.ask(
            "POST", f"/v1/partners/{first['id']}/token-requests", json={"expires_in_seconds": 86400}
        )
        yield stack, caller, link.json()


# They take away what all others are asked about, so they come last.
LAST = ("deleteIntegration", "disconnectPartner")


def withstands(directory: Path, seconds: int) -> bool:
    """Whether nothing is found in so many seconds, and in some more for what destroys."""
    with stage(directory) as (stack, caller, link):
        _configure(directory, {"a": caller.api_key, "b": stack.tenant()["api_key"]})
        variables = {
            "CONTRACT_URL": stack.api.url,
            "CONTRACT_KEY": caller.api_key,
            "CONTRACT_CODE": link["code"],
            "SCHEMATHESIS_HOOKS": "hooks",
            "PYTHONPATH": str(HERE),
        }

        def finds_nothing(choice: str, limit: int) -> bool:
            chosen = [part for name in LAST for part in (f"--{choice}-operation-id", name)]
            return passes(
                "Schemathesis",
                *(SCHEMATHESIS, "--no-color", "--config-file", directory / "schemathesis.toml"),
                *("run", DOCUMENT, "--url", stack.api.url, "--max-time", str(limit)),
                *("--workers", "2", "--continue-on-failure", "--generation-database", "none"),
                *chosen,
                cwd=directory,
                variables=variables,
            )

        return all([finds_nothing("exclude", seconds), finds_nothing("include", seconds // 6)])


def _configure(directory: Path, keys: Mapping[str, str]) -> None:
    users = [
        {
            "name": name,
            "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {key}"}],
        }
        for name, key in keys.items()
    ]
    (directory / "users.json").write_text(json.dumps({"auth": users}), encoding="utf-8")
    (directory / "schemathesis.toml").write_text(
        f'[auth.wfc]\npath = "{directory / "users.json"}"\npeers = {json.dumps([*keys])}\n'
        + OPERATIONS,
        encoding="utf-8",
    )
