"""The ASGI application: the simulated Graph API and the control surface."""

from collections.abc import MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from graph_simulator.control.routes import control_routes
from graph_simulator.http.endpoint import METHODS, SERVER_SEND, graph
from graph_simulator.model.registry import World
from graph_simulator.runtime.simulator import Simulator


class GraphSimulator(Starlette):
    """Application that passes the server's `send` on, so that a fault can reset the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mutable_scope: MutableMapping[str, Any] = scope
        mutable_scope[SERVER_SEND] = send
        await super().__call__(scope, receive, send)


def create_app(world: World) -> Starlette:
    """Create the application for this world. `app.state.simulator` holds its whole state."""
    app = GraphSimulator(
        routes=[
            Mount("/__simulator__", routes=control_routes()),
            Route("/{path:path}", graph, methods=METHODS),
        ]
    )
    app.state.simulator = Simulator(world)
    return app
