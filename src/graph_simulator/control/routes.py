"""The control surface under `/__simulator__/`: truth, faults, switches, counters, mutations."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from graph_simulator.control.mutations import MUTATIONS, MutationError, mutate
from graph_simulator.runtime.calls import CallLog
from graph_simulator.runtime.faults import FAULT_KEYS, MATCH_KEYS, FaultError
from graph_simulator.runtime.simulator import Simulator
from graph_simulator.switches import SwitchError
from graph_simulator.truth import tell

OPERATIONS = {
    "GET /__simulator__/": "this list",
    "GET /__simulator__/world": "the whole world: businesses, tokens, shared assets, people, tasks",
    "POST /__simulator__/reset": "restore the first state of world, switches, faults and counters",
    "POST /__simulator__/down": '{"down": true}: answer every Graph call with 503 and HTML',
    "GET /__simulator__/down": "whether every Graph call is answered with 503",
    "GET /__simulator__/faults": "all rules, with the calls they matched (seen) and changed (hits)",
    "POST /__simulator__/faults": '{"match", "after", "times", "probability", "fault"} → {"id"}',
    "DELETE /__simulator__/faults": "delete all rules",
    "GET /__simulator__/faults/{id}": "one rule",
    "DELETE /__simulator__/faults/{id}": "delete one rule",
    "GET /__simulator__/switches": "every switch with its value, default, choices and meaning",
    "PATCH /__simulator__/switches": '{"name": value, …}: set all, or none if one is refused',
    "GET /__simulator__/mutations": "all mutations with their arguments",
    "POST /__simulator__/mutations": '{"op": …, …}: change the world → what was changed',
    "GET /__simulator__/calls": "counters, the latest requests, and what Meta does not publish",
    "DELETE /__simulator__/calls": "set the counters to zero",
    "GET /__simulator__/outside-published": "what Meta does not publish, since the start",
}


def control_routes() -> list[Route]:
    return [
        Route("/", index),
        Route("/world", world),
        Route("/reset", reset, methods=["POST"]),
        Route("/down", down, methods=["GET", "POST"]),
        Route("/faults", faults, methods=["GET", "POST", "DELETE"]),
        Route("/faults/{id}", one_fault, methods=["GET", "DELETE"]),
        Route("/switches", switches, methods=["GET", "PATCH"]),
        Route("/mutations", mutations, methods=["GET", "POST"]),
        Route("/calls", calls, methods=["GET", "DELETE"]),
        Route("/outside-published", outside_published),
    ]


def _simulator(request: Request) -> Simulator:
    simulator: Simulator = request.app.state.simulator
    return simulator


async def _body(request: Request) -> dict[str, Any]:
    """Return the JSON object of the body; {} for an empty body. Raises `ControlError` otherwise."""
    try:
        found = json.loads(await request.body() or b"{}")
    except ValueError:
        raise ControlError("the body must be JSON") from None
    if not isinstance(found, dict):
        raise ControlError("the body must be a JSON object")
    return found


class ControlError(ValueError):
    """The body of a control call is not a JSON object."""


def _refused(error: Exception) -> JSONResponse:
    return JSONResponse({"refused": str(error)}, status_code=422)


async def index(_request: Request) -> Response:
    return JSONResponse(
        {
            "operations": OPERATIONS,
            "fault_match": MATCH_KEYS,
            "fault_kinds": FAULT_KEYS,
            "mutations": {name: one.about for name, one in MUTATIONS.items()},
        }
    )


async def world(request: Request) -> Response:
    return JSONResponse(tell(_simulator(request).world))


async def reset(request: Request) -> Response:
    simulator = _simulator(request)
    simulator.reset()
    return JSONResponse({"reset": True, "seed": simulator.world.seed})


async def down(request: Request) -> Response:
    simulator = _simulator(request)
    if request.method == "POST":
        try:
            wanted = await _body(request)
        except ControlError as error:
            return _refused(error)
        simulator.down = bool(wanted.get("down", True))
    return JSONResponse({"down": simulator.down})


async def faults(request: Request) -> Response:
    rules = _simulator(request).faults
    if request.method == "POST":
        try:
            rule = rules.add(await _body(request))
        except (ControlError, FaultError, TypeError, ValueError) as error:
            return _refused(error)
        return JSONResponse({"id": rule.id}, status_code=201)
    if request.method == "DELETE":
        rules.rules.clear()
        return Response(status_code=204)
    return JSONResponse({"faults": [rule.as_json() for rule in rules.rules.values()]})


async def one_fault(request: Request) -> Response:
    rules = _simulator(request).faults.rules
    rule = rules.get(request.path_params["id"])
    if rule is None:
        return JSONResponse({"refused": "no rule has this id"}, status_code=404)
    if request.method == "DELETE":
        del rules[rule.id]
        return Response(status_code=204)
    return JSONResponse(rule.as_json())


async def switches(request: Request) -> Response:
    chosen = _simulator(request).switches
    if request.method == "PATCH":
        try:
            chosen.change(await _body(request))
        except (ControlError, SwitchError) as error:
            return _refused(error)
    return JSONResponse({"values": chosen.values(), "switches": chosen.describe()})


async def mutations(request: Request) -> Response:
    if request.method == "GET":
        return JSONResponse({"mutations": {n: m.about for n, m in MUTATIONS.items()}})
    try:
        done = mutate(_simulator(request).world, await _body(request))
    except (ControlError, MutationError) as error:
        return _refused(error)
    return JSONResponse(done)


async def calls(request: Request) -> Response:
    simulator = _simulator(request)
    if request.method == "DELETE":
        simulator.calls = CallLog()
        return Response(status_code=204)
    return JSONResponse(simulator.calls.as_json())


async def outside_published(request: Request) -> Response:
    return JSONResponse(_simulator(request).outside_published.as_json())
