"""`partner-connector serve`: the API on one port and one loop, without a worker."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import structlog
import uvicorn
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from partner_connector.api.app import create_app
from partner_connector.cli import process, provision
from partner_connector.cli.terminal import tell
from partner_connector.errors import OperatorError
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from partner_connector.web.context import ApiContext

_BACKLOG = 2048
# What is answered when the process has to end may take so long; then it is cut off.
LAST_ANSWERS_SECONDS = 20
# A balancer's idle connections must end on its own side, or it sends a request into one that we are
# just closing. Those that are common keep them for 60 s.
_KEEP_ALIVE_SECONDS = 75

log = structlog.get_logger()


def listen(host: str, port: int) -> socket.socket:
    """Take the port before anything else starts. 0 is any free one. Raises `OperatorError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP: asyncio turns Nagle's delay off, 44 ms an answer, only where a socket says so.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise OperatorError(
            f"cannot listen on {host}:{port}: {reason}; choose another port, or 0 for any free one"
        ) from None
    return listener


def address(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class ApiServer(uvicorn.Server):
    """uvicorn without its own logs and banner, since ours have no query strings, and without its
    signal handlers, which would end the process before the worker in it is handed over.
    """

    def __init__(self, app: FastAPI, drain_seconds: float = 0) -> None:
        config = uvicorn.Config(
            self._answer,
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=LAST_ANSWERS_SECONDS,
            h11_max_incomplete_event_size=32 * 1024,
        )
        super().__init__(config)
        self.app = app
        self._drain_seconds = drain_seconds
        self._is_leaving = False

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to `process.signals_call`."""
        yield

    def leave(self) -> None:
        """Be not ready any more, and serve on for `DRAIN_SECONDS`, in which balancers notice.

        Whoever waits or follows a stream is sent away half-way: their connection must still be
        there for what they ask next, since nothing told them at its start that it will close.
        At the second call end at once: whoever presses Ctrl-C twice has no balancer.
        """
        context = self._context
        if context is None or self._is_leaving or not self._drain_seconds:
            self.end()
            return
        log.info("api_leaves", drain_seconds=self._drain_seconds)
        self._is_leaving = True
        context.leaving.set()
        loop = asyncio.get_running_loop()
        loop.call_later(self._drain_seconds / 2, context.draining.set)
        loop.call_later(self._drain_seconds, self.end)

    def end(self) -> None:
        """Take no new connection, let the present requests end, and those who wait at once."""
        self.should_exit = True
        if self._context is not None:
            self._context.draining.set()

    @property
    def _context(self) -> ApiContext | None:
        """None before the app has started."""
        return getattr(self.app.state, "context", None)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app's answer. While we leave, it ends its connection: the client's next one is made
        anew, and leads elsewhere.
        """

        async def send_farewell(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self.app(scope, receive, send_farewell if self._is_leaving else send)


def serve(host: str, port: int) -> None:
    """Take the port, check what must exist and serve until a signal."""
    settings = process.configure()
    with listen(host, port) as listener:
        provision.prepare_database(settings, tell)
        keyring = provision.public_keyring(settings, tell)
        process.run(_serve_api(settings, keyring, listener))


async def _serve_api(settings: Settings, keyring: PublicKeyring, listener: socket.socket) -> None:
    """The API alone, until a signal."""
    server = ApiServer(create_app(settings, keyring), settings.drain_seconds)
    with process.metrics_served(settings), process.signals_call(server.leave):
        await run_server(server, listener)


async def run_server(server: ApiServer, listener: socket.socket) -> None:
    """Answer requests until the server is asked to end."""
    if not server.should_exit:  # asked to end while it started
        process.spare_the_collector()
        log.info("api_listens", url=address(listener))
        await server.serve(sockets=[listener])
