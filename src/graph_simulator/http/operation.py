"""One Graph call, plain or inside a batch: count it, break it if asked, answer it."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from graph_simulator import published
from graph_simulator.graph import errors
from graph_simulator.graph.access import Viewer
from graph_simulator.graph.addresses import edge_name, served_version, split_version
from graph_simulator.graph.errors import GraphError
from graph_simulator.graph.paths import answer, type_of
from graph_simulator.graph.schema import Params, Reading
from graph_simulator.graph.tokens_at_work import authenticate, find_token
from graph_simulator.model import dice
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
    """The caller is to see its connection break instead of an answer."""


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
    """None only inside a batch: the operation was not carried out."""
    headers: dict[str, str]


def spell_json(value: object) -> str:
    """Meta's spelling: everything outside ASCII, slashes and the at sign are escaped."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("/", "\\/").replace("@", "\\u0040")


async def perform(simulator: Simulator, operation: Operation) -> Answer:
    """Answer one call. Raises `ConnectionCutError` when a fault says so."""
    simulator.answered += 1
    asked, parts = split_version(operation.path)
    edge = edge_name(parts)
    owner = owner_of(simulator, operation.token)
    _count(simulator, operation, edge, owner)
    _hold_against_published(simulator, operation, edge, parts)
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
    fault = await suffer(simulator, call)
    version = served_version(asked, simulator.switches.unversioned)
    version = simulator.switches.served_version or version
    answered = put_in_place(simulator, fault)
    if answered is None:
        answered = _respond(simulator, operation, version, asked, parts)
    spoil(answered, fault)
    if version is not None:
        answered.headers["facebook-api-version"] = version
    simulator.calls.by_status[str(answered.status)] += 1
    return answered


async def suffer(simulator: Simulator, call: Call) -> dict[str, Any]:
    """The faults that hit this call, with the waiting and the breaking already done."""
    if not simulator.faults.rules:
        return {}
    fault = simulator.faults.strike(call, simulator.world.seed)
    if "delay_seconds" in fault:
        await asyncio.sleep(float(fault["delay_seconds"]))
    if fault.get("reset"):
        raise ConnectionCutError
    return fault


def owner_of(simulator: Simulator, text: str) -> str:
    """The label of a token, for counters and faults; never the token."""
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


def _hold_against_published(
    simulator: Simulator, operation: Operation, edge: str, parts: list[str]
) -> None:
    """Write down what of the call Meta does not publish; the answer stays the same."""
    node = type_of(simulator.world, parts[0]) if parts else None
    found = published.complaints(operation.method, operation.path, operation.params, node=node)
    simulator.note_outside(operation.method, edge, found)


def _respond(
    simulator: Simulator,
    operation: Operation,
    version: str | None,
    asked: str,
    parts: list[str],
) -> Answer:
    now = simulator.clock()
    viewer: Viewer | None = None
    asset = _asset_in(simulator, parts)
    try:
        if version is None:
            raise errors.unknown_path("/".join([asked, *parts]))
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
        answered = Answer(200, spell_json(answer(reading, parts, params, now)), {})
    except GraphError as error:
        answered = refuse(simulator, error)
    answered.headers["Content-Type"] = JSON_TYPE
    app_id = viewer.token.app_id if viewer else simulator.world.app.id
    answered.headers.update(
        simulator.throttle.headers(viewer, app_id, asset, simulator.switches, now)
    )
    return answered


_HIDDEN = ("access_token", "appsecret_proof", "appsecret_time")


def _visible_params(params: Params) -> Params:
    return {name: value for name, value in params.items() if name not in _HIDDEN}


def refuse(simulator: Simulator, error: GraphError) -> Answer:
    """A Graph error with the status the switches give its code, and what goes with it."""
    simulator.calls.by_error[f"{error.code}/{error.subcode or 0}"] += 1
    body = spell_json(error.envelope(trace_id(simulator)))
    headers = {"Content-Type": JSON_TYPE}
    if error.www_authenticate is not None:
        headers["WWW-Authenticate"] = error.www_authenticate
    return Answer(_status_of(error, simulator), body, headers)


def trace_id(simulator: Simulator) -> str:
    return "A" + dice.letters(22, simulator.world.seed, "trace", simulator.answered)


def _status_of(error: GraphError, simulator: Simulator) -> int:
    """A status somebody named wins; else open question 11 decides by code."""
    if error.status_is_fixed:
        return error.status
    switches = simulator.switches
    if error.code in _PERMISSION_CODES:
        return switches.http_status_200
    name = _STATUS_SWITCHES.get(error.code)
    return error.status if name is None else int(getattr(switches, name))


def put_in_place(simulator: Simulator, fault: dict[str, Any]) -> Answer | None:
    """The answer a fault puts in place of the true one, if it puts any."""
    for name, make in _IN_PLACE.items():
        if name in fault:
            return make(simulator, fault)
    return None


def spoil(answered: Answer, fault: dict[str, Any]) -> None:
    """What a fault does to any answer: headers added, the body cut as by a dying proxy."""
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


_IN_PLACE: dict[str, Callable[[Simulator, dict[str, Any]], Answer]] = {
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
    """Usage headers are on failures too (REFERENCE 5.2, rules)."""
    app_id = simulator.world.app.id
    answered.headers.update(
        simulator.throttle.headers(None, app_id, None, simulator.switches, simulator.clock())
    )
    return answered


def _usage_of(fault: dict[str, Any]) -> dict[str, str]:
    """Headers a rule adds or replaces; a value that is not text becomes JSON."""
    usage = fault.get("usage", {})
    return {
        name.lower(): value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for name, value in usage.items()
    }


def _asset_in(simulator: Simulator, parts: list[str]) -> Asset | None:
    """The asset whose own budget this call falls under, by the path alone."""
    if not parts:
        return None
    return simulator.world.assets.get(parts[0].removeprefix("act_"))
