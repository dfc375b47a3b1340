"""Schemathesis against the running product, with two workspaces and a partner's code."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.journey.caller import Caller
from tests.journey.meta import Json
from tests.journey.stacks import Stack, embedded_stack
from tests.judges.tools import DOCUMENT, HERE, SCHEMATHESIS, passes

# A limit that is never reached: without one there would be no rate-limit headers to check.
SETTINGS = {"RATE_LIMIT": "90000000/minute", "LOG_LEVEL": "INFO"}
# A link ends after some wrong tokens, and then every request is answered as expired.
# The tests of the API cover what an open link accepts.
OPERATIONS = """
[[operations]]
include-tag = "Hand-over"
checks.positive_data_acceptance.enabled = false
checks.negative_data_rejection.enabled = false

# A revoked request stays stored, and can be read.
[[operations]]
include-operation-id = "getTokenRequest"
checks.use_after_free.enabled = false
"""


@contextmanager
def stage(directory: Path) -> Iterator[tuple[Stack, Caller, Json]]:
    """Yield a product with connected partners, and a link for another partner."""
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


# These delete what all other operations need, so they come last.
LAST = ("deleteIntegration", "disconnectPartner")


def withstands(directory: Path, seconds: int) -> bool:
    """Return whether nothing is found in `seconds`, and in some more for destructive operations."""
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
