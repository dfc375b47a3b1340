"""Running the API and the worker: one port, one loop, and an orderly end."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI
from prometheus_client import start_http_server
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from partner_connector.api.app import create_app
from partner_connector.sealing.keyring import Ring
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from partner_connector.telemetry import metrics
from partner_connector.web.context import ApiContext
from partner_connector.worker.process import worker_running

_BACKLOG = 2048
# What is answered when the process has to end may take so long; then it is cut off.
LAST_ANSWERS_SECONDS = 20
# A balancer's idle connections must end on its own side, or it sends a request into one that we are
# just closing. Those that are common keep them for 60 s.
_KEEP_ALIVE_SECONDS = 75
# A request hands over between threads some twenty times, and each time a working thread keeps the
# interpreter for this long: with Python's 5 ms a list took 70 ms while a partner was checked.
_SWITCH_SECONDS = 0.0002

log = structlog.get_logger()


class PortTaken(Exception):
    """Nothing can be served there."""


def listen(host: str, port: int) -> socket.socket:
    """Take the port before anything else starts. 0 is any free one. Raises `PortTaken`."""
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
        raise PortTaken(
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
        """Leave signals to `signals_call`."""
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


async def serve_api(settings: Settings, keyring: PublicKeyring, listener: socket.socket) -> None:
    """The API alone, until a signal."""
    server = ApiServer(create_app(settings, keyring), settings.drain_seconds)
    with metrics_served(settings), signals_call(server.leave):
        await _serve(server, listener)


async def serve_embedded(settings: Settings, ring: Ring, listener: socket.socket) -> None:
    """API and worker in one process, until a signal."""
    sys.setswitchinterval(_SWITCH_SECONDS)
    server = ApiServer(create_app(settings, PublicKeyring(ring)), settings.drain_seconds)
    # Outside of the worker: a second signal must not cut short the hand-over of its work.
    with metrics_served(settings), signals_call(server.leave):
        async with worker_in_a_thread(settings, ring):
            await _serve(server, listener)


async def _serve(server: ApiServer, listener: socket.socket) -> None:
    if not server.should_exit:  # asked to end while it started
        spare_the_collector()
        log.info("api_listens", url=address(listener))
        await server.serve(sockets=[listener])


async def run_worker(settings: Settings, ring: Ring) -> None:
    """The worker alone, until a signal."""
    stopped = asyncio.Event()
    with metrics_served(settings), signals_call(stopped.set):
        async with worker_running(settings, ring):
            spare_the_collector()
            await stopped.wait()


@contextlib.asynccontextmanager
async def worker_in_a_thread(settings: Settings, ring: Ring) -> AsyncIterator[None]:
    """A worker with a loop of its own: taking a great answer apart must keep no caller waiting."""
    started: Future[Callable[[], object]] = Future()

    async def work() -> None:
        stopped, loop = asyncio.Event(), asyncio.get_running_loop()
        async with worker_running(settings, ring):
            started.set_result(lambda: loop.call_soon_threadsafe(stopped.set))
            await stopped.wait()

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker") as thread:
        ended = asyncio.wrap_future(thread.submit(run, work()))
        starting: asyncio.Future[Any] = asyncio.wrap_future(started)
        await asyncio.wait([starting, ended], return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            ended.result()
        try:
            yield
        finally:
            started.result()()
            await ended


def spare_the_collector() -> None:
    """Once started. A check makes objects by the hundred thousand, and each time that led through
    everything that lives as long as the process: a third of the time of a big check.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@contextlib.contextmanager
def metrics_served(settings: Settings) -> Iterator[None]:
    """`/metrics` on a port of its own, in a thread of its own. Raises `PortTaken`.

    On every address: whoever sets `METRICS_PORT` decides who reaches it.
    """
    if settings.metrics_port is None:
        yield
        return
    try:
        server, thread = start_http_server(settings.metrics_port, registry=metrics.REGISTRY)
    except OSError as error:
        reason = error.strerror or str(error)
        raise PortTaken(
            f"cannot serve metrics on port {settings.metrics_port}: {reason}; choose another "
            "METRICS_PORT"
        ) from None
    log.info("metrics_listen", port=server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def signals_call(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT ask for an orderly end for as long as the block lasts."""
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
    try:
        yield
    finally:
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run to the end on uvloop, which spends less on every request."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
