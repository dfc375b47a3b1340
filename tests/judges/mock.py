"""Prism mock server, which answers from the examples of the API document."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from partner_connector.cli.serving import address, listen
from tests.api.surface import DOCUMENT as CONTRACT
from tests.api.surface import OPERATIONS, Operation, body_for, example_of
from tests.contracts.json_schema import violations
from tests.judges.tools import DOCUMENT, ENVIRONMENT, HERE, npm


@contextmanager
def prism(log: Path) -> Iterator[httpx.Client]:
    """Run a mock of the whole API on a free port."""
    with listen("127.0.0.1", 0) as free:
        url = address(free)
    port = url.rsplit(":", 1)[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(npm("prism")), "mock", str(DOCUMENT), "--port", port, "--errors"],
            cwd=HERE,
            env=ENVIRONMENT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            deadline = time.monotonic() + 60
            while "Prism is listening" not in log.read_text(encoding="utf-8", errors="replace"):
                assert process.poll() is None, log.read_text(encoding="utf-8")
                assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
                time.sleep(0.2)
            yield client
    finally:
        process.terminate()
        process.wait(timeout=10)


def wrong_examples(client: httpx.Client) -> list[str]:
    """Request each operation; return the responses that do not match their schema."""
    found = []
    for operation in OPERATIONS:
        status, schema = _success(operation)
        # The mock refuses credentials where the operation has none.
        credential = {"Authorization": "Bearer anything"} if operation.is_secured else {}
        answer = client.request(
            operation.method,
            _path(operation),
            headers={"Prefer": f"code={status}"} | credential,
            json=body_for(operation),
        )
        if answer.status_code != int(status):
            found.append(f"{operation.name}: {answer.status_code} {answer.text[:300]}")
        elif schema is not None:
            wrong = violations(CONTRACT, schema, json.loads(answer.text))
            found += [f"{operation.name}: {each}" for each in wrong]
    return found


def _success(operation: Operation) -> tuple[str, dict[str, object] | None]:
    responses = CONTRACT["paths"][operation.path][operation.method.lower()]["responses"]
    status = min(each for each in responses if each.startswith("2"))
    content = responses[status].get("content", {})
    return status, content.get("application/json", {}).get("schema")


def _path(operation: Operation) -> str:
    examples = {
        parameter["name"]: example_of(parameter["schema"])
        for parameter in operation.parameters
        if parameter["in"] == "path"
    }
    return re.sub(r"\{(\w+)\}", lambda match: str(examples[match[1]]), operation.path)
