"""`POST /` with `batch=`: up to 50 calls in one request.

Facts: `docs/reference/graph-facts.md#batches`.
"""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from graph_simulator import published
from graph_simulator.graph import errors
from graph_simulator.graph.authentication import authenticate
from graph_simulator.graph.path_parts import split_version
from graph_simulator.graph.schema import Params
from graph_simulator.http.operation import (
    Answer,
    Operation,
    alter_answer,
    apply_faults,
    owner_of,
    perform,
    refuse,
    replacement_answer,
    to_meta_json,
)
from graph_simulator.runtime.faults import Call
from graph_simulator.runtime.simulator import Simulator
from graph_simulator.switches import Switches

MAX_OPERATIONS = 50
_COMMON_HEADERS = ("x-app-usage", "facebook-api-version")
"""Headers of the operations that the batch's own response repeats."""
INNER_TYPE = "text/javascript; charset=UTF-8"


async def perform_batch(simulator: Simulator, outer: Operation) -> Answer:
    """Return the results in order, or one error object if the whole batch is refused.

    Raises `ConnectionCutError` if a fault resets the connection.
    """
    simulator.calls.batches += 1
    simulator.record_outside(outer.method, "batch", published.outside_batch(outer.params))
    owner = owner_of(simulator, outer.token)
    whole = Call(outer.method, "", "batch", outer.token, owner, "", "", in_batch=False)
    fault = await apply_faults(simulator, whole)
    answered = replacement_answer(simulator, fault) or await _carry_out(simulator, outer)
    alter_answer(answered, fault)
    return answered


async def _carry_out(simulator: Simulator, outer: Operation) -> Answer:
    try:
        operations = _operations(simulator, outer)
    except errors.GraphError as error:
        return refuse(simulator, error)
    with_headers = outer.params.get("include_headers", "true").lower() not in ("false", "0")
    results = []
    common: dict[str, str] = {}
    for operation in operations:
        answered = await perform(simulator, operation)
        common |= {k: v for k, v in answered.headers.items() if k in _COMMON_HEADERS}
        results.append(_result(answered, with_headers=with_headers))
    return Answer(200, to_meta_json(results), {"Content-Type": "application/json", **common})


def _operations(simulator: Simulator, outer: Operation) -> list[Operation]:
    """Parse the operations. Raises `GraphError` for everything that fails the whole batch."""
    switches, now = simulator.switches, simulator.clock()
    if "access_token" not in outer.params and not switches.batch_header_token:
        raise errors.no_token()
    authenticate(simulator.world, switches, outer.token, outer.params, now)
    described = _described(outer.params["batch"])
    if len(described) > MAX_OPERATIONS:
        raise errors.too_many_operations()
    return [_operation(outer, one, switches) for one in described]


def _described(text: str) -> list[dict[str, Any]]:
    try:
        described = json.loads(text)
    except json.JSONDecodeError:
        raise errors.bad_batch("batch parameter must be a JSON array") from None
    if not isinstance(described, list) or not described:
        raise errors.bad_batch("batch parameter must be a JSON array")
    if not all(isinstance(one, dict) and one.get("method") for one in described):
        raise errors.bad_batch("every operation needs a method and a relative_url")
    return described


def _operation(outer: Operation, described: dict[str, Any], switches: Switches) -> Operation:
    address = urlsplit("/" + str(described.get("relative_url", "")).lstrip("/"))
    params: Params = dict(parse_qsl(address.query, keep_blank_values=True))
    params |= dict(parse_qsl(str(described.get("body", "")), keep_blank_values=True))
    own_token = params.get("access_token")
    if own_token is None and switches.batch_operation_headers:
        own_token = _header_token(described.get("headers"))
    if own_token is None:
        # An operation without its own token uses the token and appsecret_proof of the batch.
        for name in ("appsecret_proof", "appsecret_time"):
            if name in outer.params:
                params.setdefault(name, outer.params[name])
    version, _ = split_version(outer.path)
    has_version = bool(split_version(address.path)[0])
    return Operation(
        method=str(described["method"]).upper(),
        path=address.path if has_version or not version else f"/{version}{address.path}",
        params=params,
        token=own_token or outer.token,
        base_url=outer.base_url,
        in_batch=True,
    )


def _header_token(headers: object) -> str | None:
    for header in headers if isinstance(headers, list) else ():
        if isinstance(header, dict) and str(header.get("name", "")).lower() == "authorization":
            return str(header.get("value", "")).removeprefix("Bearer ").strip() or None
    return None


def _result(answered: Answer, *, with_headers: bool) -> dict[str, object] | None:
    if answered.body is None:
        return None
    result: dict[str, object] = {"code": answered.status}
    if with_headers:
        headers = {**answered.headers, "Content-Type": INNER_TYPE}
        result["headers"] = [{"name": name, "value": value} for name, value in headers.items()]
    return {**result, "body": answered.body}
