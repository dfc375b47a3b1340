"""`partner-connector serve`: the API on one port and one event loop, without a worker."""

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
from partner_connector.cli.terminal import report
from partner_connector.errors import OperatorError
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from partner_connector.web.context import ApiContext

_BACKLOG = 2048
# At the end of the process requests in progress may take this long; then they are aborted.
SHUTDOWN_GRACE_SECONDS = 20
# A load balancer must close idle connections before we do, or it may send a request on a connection
# that is being closed. Common load balancers keep them for 60 s.
_KEEP_ALIVE_SECONDS = 75

log = structlog.get_logger()


def listen(host: str, port: int) -> socket.socket:
    """Bind the port before anything else starts; 0 takes any free port. Raises `OperatorError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Without an explicit IPPROTO_TCP asyncio keeps Nagle's algorithm: 44 ms more for each response.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise OperatorError(
            f"cannot listen on {host}:{port}: {reason}; choose another port, or 0 for any free port"
        ) from None
    return listener


def address(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class ApiServer(uvicorn.Server):
    """uvicorn without its own logs and signal handlers.

    Our logs contain no query strings. uvicorn's signal handlers would end the process before the
    worker in it has shut down.
    """

    def __init__(self, app: FastAPI, drain_seconds: float = 0) -> None:
        config = uvicorn.Config(
            self._respond,
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=SHUTDOWN_GRACE_SECONDS,
            h11_max_incomplete_event_size=32 * 1024,
        )
        super().__init__(config)
        self.app = app
        self._drain_seconds = drain_seconds
        self._is_draining = False

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handlers: `process.signals_call` handles signals."""
        yield

    def start_draining(self) -> None:
        """Fail readiness and keep serving for `DRAIN_SECONDS`, in which load balancers notice.

        Waiting requests and event streams end at half of that time: their clients do not know yet
        that the connection will close, and may still send their next request on it. A second call
        ends the server at once, for an operator who presses Ctrl-C twice.
        """
        context = self._context
        if context is None or self._is_draining or not self._drain_seconds:
            self.end()
            return
        log.info("api_draining", drain_seconds=self._drain_seconds)
        self._is_draining = True
        context.draining.set()
        loop = asyncio.get_running_loop()
        loop.call_later(self._drain_seconds / 2, context.stopping.set)
        loop.call_later(self._drain_seconds, self.end)

    def end(self) -> None:
        """Accept no new connection, end waiting requests at once, and let the others finish."""
        self.should_exit = True
        if self._context is not None:
            self._context.stopping.set()

    @property
    def _context(self) -> ApiContext | None:
        """The API's context; None before the app has started."""
        return getattr(self.app.state, "context", None)

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app. While draining, close each connection after its response: the client's next
        connection then reaches another process.
        """

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self.app(scope, receive, send_and_close if self._is_draining else send)


def serve(host: str, port: int) -> None:
    """Bind the port, check the database and the keys, and serve until a signal."""
    settings = process.configure()
    with listen(host, port) as listener:
        is_first_start = provision.prepare_database(settings, report)
        keyring = provision.public_keyring(settings, report)
        if is_first_start:
            report_first_steps(listener)
        process.run(_serve_api(settings, keyring, listener))


def report_first_steps(listener: socket.socket) -> None:
    """Say what to do after the first start: the next two commands and the documentation's URL."""
    report(
        "Next, in a second terminal with the same settings:\n"
        '  partner-connector workspace create "My company"\n'
        "  partner-connector api-key create --workspace ID --scope all\n"
        f"Documentation of the API: {address(listener)}/docs"
    )


async def _serve_api(settings: Settings, keyring: PublicKeyring, listener: socket.socket) -> None:
    """Run the API alone until a signal."""
    server = ApiServer(create_app(settings, keyring), settings.drain_seconds)
    with process.metrics_served(settings), process.signals_call(server.start_draining):
        await run_server(server, listener)


async def run_server(server: ApiServer, listener: socket.socket) -> None:
    """Serve requests until the server is asked to end."""
    if not server.should_exit:  # a signal came during the start
        process.tune_gc()
        log.info("api_listening", url=address(listener))
        await server.serve(sockets=[listener])
