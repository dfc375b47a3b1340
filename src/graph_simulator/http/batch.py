"""`POST /` with `batch=`: up to fifty calls in one request (REFERENCE 8.1)."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from graph_simulator import published
from graph_simulator.graph import errors
from graph_simulator.graph.addresses import split_version
from graph_simulator.graph.schema import Params
from graph_simulator.graph.tokens_at_work import authenticate
from graph_simulator.http.operation import (
    Answer,
    Operation,
    owner_of,
    perform,
    put_in_place,
    refuse,
    spell_json,
    spoil,
    suffer,
)
from graph_simulator.runtime.faults import Call
from graph_simulator.runtime.simulator import Simulator
from graph_simulator.switches import Switches

MAX_OPERATIONS = 50
_OUTSIDE = ("x-app-usage", "facebook-api-version")
"""Headers of the operations that the batch as a whole has too."""
INNER_TYPE = "text/javascript; charset=UTF-8"


async def perform_batch(simulator: Simulator, outer: Operation) -> Answer:
    """A list of results in order, or one error object when the whole batch is refused."""
    simulator.calls.batches += 1
    simulator.note_outside(outer.method, "batch", published.outside_batch(outer.params))
    owner = owner_of(simulator, outer.token)
    whole = Call(outer.method, "", "batch", outer.token, owner, "", "", in_batch=False)
    fault = await suffer(simulator, whole)
    answered = put_in_place(simulator, fault) or await _carry_out(simulator, outer)
    spoil(answered, fault)
    return answered


async def _carry_out(simulator: Simulator, outer: Operation) -> Answer:
    try:
        operations = _operations(simulator, outer)
    except errors.GraphError as error:
        return refuse(simulator, error)
    with_headers = outer.params.get("include_headers", "true").lower() not in ("false", "0")
    results = []
    inherited: dict[str, str] = {}
    for operation in operations:
        answered = await perform(simulator, operation)
        inherited |= {k: v for k, v in answered.headers.items() if k in _OUTSIDE}
        results.append(_result(answered, with_headers=with_headers))
    return Answer(200, spell_json(results), {"Content-Type": "application/json", **inherited})


def _operations(simulator: Simulator, outer: Operation) -> list[Operation]:
    """Everything that can sink the batch as a whole is decided here."""
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
    own = params.get("access_token")
    if own is None and switches.batch_operation_headers:
        own = _header_token(described.get("headers"))
    if own is None:
        # Without a token of its own an operation speaks, and proves itself, as the batch does.
        for name in ("appsecret_proof", "appsecret_time"):
            if name in outer.params:
                params.setdefault(name, outer.params[name])
    version, _ = split_version(outer.path)
    has_version = bool(split_version(address.path)[0])
    return Operation(
        method=str(described["method"]).upper(),
        path=address.path if has_version or not version else f"/{version}{address.path}",
        params=params,
        token=own or outer.token,
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
