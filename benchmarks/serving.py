"""Small servers of the benchmarks, each in a separate process."""

import multiprocessing
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import uvicorn

App = Callable[..., Any]
MakeApp = Callable[..., App]


def open_listener() -> socket.socket:
    """Return a socket that listens on a free local port."""
    # With IPPROTO_TCP the event loop disables Nagle's algorithm, which adds 44 ms per answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def server_of(app: App) -> uvicorn.Server:
    """Return a uvicorn server without log and lifespan."""
    return uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    )


@contextmanager
def served(make_app: MakeApp, *arguments: Any) -> Iterator[str]:
    """Serve `make_app(*arguments)` in a process until the block ends, and yield its URL."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, make_app, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _serve(answer: Connection, make_app: MakeApp, arguments: tuple[Any, ...]) -> None:
    app, listener = make_app(*arguments), open_listener()
    answer.send(url_of(listener))
    server_of(app).run(sockets=[listener])
