"""HTTP endpoint of the simulated Graph API: parses requests and sends responses."""

import asyncio
import json
import socket
import struct
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from graph_simulator.graph.schema import Params
from graph_simulator.http.batch import perform_batch
from graph_simulator.http.operation import (
    HTML_503,
    HTML_TYPE,
    Answer,
    ConnectionCutError,
    Operation,
    perform,
    trace_id,
)
from graph_simulator.model import seeded
from graph_simulator.runtime.simulator import Simulator

METHODS = ["GET", "POST", "DELETE", "PUT", "PATCH"]
SERVER_SEND = "graph_simulator.send"
"""Key of the ASGI scope that holds the server's `send`, which leads to its connection."""
NO_LINGER = struct.pack("ii", 1, 0)


async def graph(request: Request) -> Response:
    simulator: Simulator = request.app.state.simulator
    simulator.calls.http_requests += 1
    if simulator.switches.latency_seconds:
        await asyncio.sleep(simulator.switches.latency_seconds)
    if simulator.down:
        return Response(HTML_503, status_code=503, headers={"Content-Type": HTML_TYPE})
    operation = await _operation(request)
    is_batch = operation.method == "POST" and "batch" in operation.params
    try:
        answered = await (perform_batch if is_batch else perform)(simulator, operation)
    except ConnectionCutError:
        return await _reset_connection(request)
    return _response(simulator, answered)


async def _operation(request: Request) -> Operation:
    params: Params = dict(parse_qsl(request.url.query, keep_blank_values=True))
    if request.method != "GET":
        params |= await _body_params(request)
    return Operation(
        method=request.method,
        path=request.url.path,
        params=params,
        token=_token(request, params),
        base_url=str(request.base_url).rstrip("/"),
    )


def _token(request: Request, params: Params) -> str:
    """Return the token. The header wins over the parameter; Meta does not document this."""
    header = request.headers.get("authorization", "")
    scheme, _, value = header.partition(" ")
    if scheme.lower() in ("bearer", "oauth") and value:
        return value.strip()
    return params.get("access_token", "")


async def _body_params(request: Request) -> Params:
    body = await request.body()
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("multipart/form-data"):
        return _multipart(content_type, body)
    if content_type.startswith("application/json"):
        return _json_params(body)
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))


def _multipart(content_type: str, body: bytes) -> Params:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    return {
        str(part.get_param("name", header="content-disposition")): str(part.get_content())
        for part in message.iter_parts()
    }


def _json_params(body: bytes) -> Params:
    try:
        found: Any = json.loads(body or b"{}")
    except ValueError:
        return {}
    items = found.items() if isinstance(found, dict) else ()
    return {name: v if isinstance(v, str) else json.dumps(v) for name, v in items}


def _response(simulator: Simulator, answered: Answer) -> Response:
    headers = {
        "Content-Type": "application/json; charset=UTF-8",
        "Cache-Control": "private, no-cache, no-store, must-revalidate",
        "x-fb-trace-id": trace_id(simulator)[:11],
        "x-fb-request-id": trace_id(simulator),
        "x-fb-rev": "1020304050",
        "ETag": f'"{seeded.number(answered.body):016x}"',
        **answered.headers,
    }
    return Response(answered.body or "", status_code=answered.status, headers=headers)


async def _reset_connection(request: Request) -> Response:
    """Reset the TCP connection.

    Zero linger makes the kernel send RST, as a failing load balancer does. Raises
    `ConnectionResetError` without a real server, which has no connection.
    """
    send = request.scope.get(SERVER_SEND)
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("the connection was reset")
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    transport.abort()
    await asyncio.sleep(0.01)  # send nothing until the server has noticed
    return Response(status_code=499)
