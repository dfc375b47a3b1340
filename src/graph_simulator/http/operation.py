"""Execution of one Graph call, alone or inside a batch: counters, faults and the answer.

A mark such as `#error-codes` is a heading of `docs/reference/graph-facts.md`.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graph_simulator import published
from graph_simulator.graph import errors
from graph_simulator.graph.access import Viewer
from graph_simulator.graph.authentication import authenticate, find_token
from graph_simulator.graph.errors import GraphError
from graph_simulator.graph.path_parts import edge_name, served_version, split_version
from graph_simulator.graph.routing import answer, type_of
from graph_simulator.graph.schema import Params, Reading
from graph_simulator.model import seeded
from graph_simulator.model.records import Asset
from graph_simulator.model.tokens import Token
from graph_simulator.runtime.faults import Call, error_of
from graph_simulator.runtime.simulator import Simulator

JSON_TYPE = "application/json; charset=UTF-8"
HTML_TYPE = "text/html; charset=UTF-8"
HTML_503 = (
    "<html><head><title>Service Unavailable</title></head>"
    "<body><h1>503 Service Unavailable</h1></body></html>"
)
_STATUS_SWITCHES = {
    1: "http_status_1",
    2: "http_status_2",
    4: "http_status_4",
    17: "http_status_17",
    32: "http_status_32",
    190: "http_status_190",
}
_PERMISSION_CODES = range(200, 300)


class ConnectionCutError(Exception):
    """A fault rule resets the connection instead of sending an answer."""


@dataclass(slots=True)
class Operation:
    method: str
    path: str
    params: Params
    token: str = field(repr=False)
    base_url: str
    in_batch: bool = False


@dataclass(slots=True)
class Answer:
    status: int
    body: str | None
    """None for an operation of a batch that was not carried out."""
    headers: dict[str, str]


def to_meta_json(value: object) -> str:
    """Serialize as Meta does: non-ASCII characters, slashes and the at sign are escaped."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("/", "\\/").replace("@", "\\u0040")


async def perform(simulator: Simulator, operation: Operation) -> Answer:
    """Answer one call. Raises `ConnectionCutError` if a fault resets the connection."""
    simulator.answered += 1
    requested, parts = split_version(operation.path)
    edge = edge_name(parts)
    owner = owner_of(simulator, operation.token)
    _count(simulator, operation, edge, owner)
    _record_outside_published(simulator, operation, edge, parts)
    call = Call(
        method=operation.method,
        path="/".join(parts),
        edge=edge,
        token=operation.token,
        owner=owner,
        business=operation.params.get("business", ""),
        fields=operation.params.get("fields", ""),
        in_batch=operation.in_batch,
    )
    fault = await apply_faults(simulator, call)
    version = served_version(requested, simulator.switches.unversioned)
    version = simulator.switches.served_version or version
    answered = replacement_answer(simulator, fault)
    if answered is None:
        answered = _respond(simulator, operation, version, requested, parts)
    alter_answer(answered, fault)
    if version is not None:
        answered.headers["facebook-api-version"] = version
    simulator.calls.by_status[str(answered.status)] += 1
    return answered


async def apply_faults(simulator: Simulator, call: Call) -> dict[str, Any]:
    """Return the combined fault for this call, after its delay. {} if no rule applies.

    Raises `ConnectionCutError` if the fault resets the connection.
    """
    if not simulator.faults.rules:
        return {}
    fault = simulator.faults.combined_fault(call, simulator.world.seed)
    if "delay_seconds" in fault:
        await asyncio.sleep(float(fault["delay_seconds"]))
    if fault.get("reset"):
        raise ConnectionCutError
    return fault


def owner_of(simulator: Simulator, text: str) -> str:
    """Return the label of a token for counters and faults, never the token itself."""
    token = find_token(simulator.world, text)
    if isinstance(token, Token):
        return token.label
    return "unknown" if text else "none"


def _count(simulator: Simulator, operation: Operation, edge: str, owner: str) -> None:
    calls = simulator.calls
    calls.counted_calls += 1
    calls.by_edge[edge] += 1
    calls.by_token_owner[owner] += 1
    calls.by_method[operation.method] += 1
    calls.recent.append(
        {
            "method": operation.method,
            "path": operation.path,
            "params": sorted(operation.params),
            "owner": owner,
            "in_batch": operation.in_batch,
        }
    )


def _record_outside_published(
    simulator: Simulator, operation: Operation, edge: str, parts: list[str]
) -> None:
    """Record what Meta does not publish of this call. The answer stays the same."""
    node = type_of(simulator.world, parts[0]) if parts else None
    found = published.complaints(operation.method, operation.path, operation.params, node=node)
    simulator.record_outside(operation.method, edge, found)


def _respond(
    simulator: Simulator,
    operation: Operation,
    version: str | None,
    requested: str,
    parts: list[str],
) -> Answer:
    now = simulator.clock()
    viewer: Viewer | None = None
    asset = _asset_in(simulator, parts)
    try:
        if version is None:
            raise errors.unknown_path("/".join([requested, *parts]))
        if operation.method != "GET":
            simulator.calls.writes_refused += 1
            raise errors.read_only()
        world, switches = simulator.world, simulator.switches
        if not parts and "ids" in operation.params:
            raise errors.ids_removed()
        viewer = authenticate(world, switches, operation.token, operation.params, now)
        refusal = simulator.throttle.charge(viewer, asset, switches, now)
        if refusal is not None:
            raise refusal
        reading = Reading(world, switches, viewer, operation.base_url, version, simulator.answered)
        params = _visible_params(operation.params)
        answered = Answer(200, to_meta_json(answer(reading, parts, params, now)), {})
    except GraphError as error:
        answered = refuse(simulator, error)
    answered.headers["Content-Type"] = JSON_TYPE
    app_id = viewer.token.app_id if viewer else simulator.world.app.id
    answered.headers.update(
        simulator.throttle.headers(viewer, app_id, asset, simulator.switches, now)
    )
    return answered


_CREDENTIAL_PARAMS = ("access_token", "appsecret_proof", "appsecret_time")


def _visible_params(params: Params) -> Params:
    return {name: value for name, value in params.items() if name not in _CREDENTIAL_PARAMS}


def refuse(simulator: Simulator, error: GraphError) -> Answer:
    """Count a Graph error and make its answer, with the HTTP status that the switches set."""
    simulator.calls.by_error[f"{error.code}/{error.subcode or 0}"] += 1
    body = to_meta_json(error.envelope(trace_id(simulator)))
    headers = {"Content-Type": JSON_TYPE}
    if error.www_authenticate is not None:
        headers["WWW-Authenticate"] = error.www_authenticate
    return Answer(_http_status_of(error, simulator), body, headers)


def trace_id(simulator: Simulator) -> str:
    return "A" + seeded.letters(22, simulator.world.seed, "trace", simulator.answered)


def _http_status_of(error: GraphError, simulator: Simulator) -> int:
    """Return the status set by a fault rule, else the switch's (`#open-http-statuses`)."""
    if error.status_is_fixed:
        return error.status
    switches = simulator.switches
    if error.code in _PERMISSION_CODES:
        return switches.http_status_200
    name = _STATUS_SWITCHES.get(error.code)
    return error.status if name is None else int(getattr(switches, name))


def replacement_answer(simulator: Simulator, fault: dict[str, Any]) -> Answer | None:
    """Return the answer with which a fault replaces the real one, or None."""
    for name, make in _REPLACEMENTS.items():
        if name in fault:
            return make(simulator, fault)
    return None


def alter_answer(answered: Answer, fault: dict[str, Any]) -> None:
    """Change an answer as the fault says: add headers, truncate the body."""
    answered.headers.update(_usage_of(fault))
    if "truncate_body" in fault and answered.body is not None:
        answered.body = answered.body[: fault["truncate_body"]]


def _error(simulator: Simulator, fault: dict[str, Any]) -> Answer:
    return _with_usage(simulator, refuse(simulator, error_of(fault["error"])))


def _error_with_200(simulator: Simulator, fault: dict[str, Any]) -> Answer:
    answered = refuse(simulator, error_of(fault["ok_with_error_body"]))
    answered.status = 200
    return _with_usage(simulator, answered)


def _http(_simulator: Simulator, fault: dict[str, Any]) -> Answer:
    status, body = int(fault.get("http", 200)), str(fault.get("body", HTML_503))
    return Answer(status, body, {"Content-Type": HTML_TYPE})


_REPLACEMENTS: dict[str, Callable[[Simulator, dict[str, Any]], Answer]] = {
    "null_batch_item": lambda _simulator, _fault: Answer(200, None, {}),
    "error": _error,
    "ok_with_error_body": _error_with_200,
    "service_unavailable_200": lambda _simulator, _fault: Answer(
        200, "Service Unavailable", {"Content-Type": HTML_TYPE}
    ),
    "http": _http,
    "body": _http,
    "empty_body": lambda _simulator, _fault: Answer(200, "", {"Content-Type": JSON_TYPE}),
}


def _with_usage(simulator: Simulator, answered: Answer) -> Answer:
    """Add usage headers, which failures have too (`#error-codes`)."""
    app_id = simulator.world.app.id
    answered.headers.update(
        simulator.throttle.headers(None, app_id, None, simulator.switches, simulator.clock())
    )
    return answered


def _usage_of(fault: dict[str, Any]) -> dict[str, str]:
    """Return the headers of a fault. Values that are not text become JSON."""
    usage = fault.get("usage", {})
    return {
        name.lower(): value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for name, value in usage.items()
    }


def _asset_in(simulator: Simulator, parts: list[str]) -> Asset | None:
    """Return the asset in the path, whose own rate limit counts this call."""
    if not parts:
        return None
    return simulator.world.assets.get(parts[0].removeprefix("act_"))
