"""Small servers of the benchmarks' own, each in a process of its own."""

import multiprocessing
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import uvicorn

App = Callable[..., Any]
MakeApp = Callable[..., App]


def listening() -> socket.socket:
    """A free port of this machine."""
    # Named TCP: only then is Nagle's delay turned off, 44 ms an answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


def url_of(listener: socket.socket) -> str:
    """Where it listens."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def server_of(app: App) -> uvicorn.Server:
    """As little as a server can do."""
    return uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    )


@contextmanager
def served(make_app: MakeApp, *arguments: Any) -> Iterator[str]:
    """The URL at which `make_app(*arguments)` is served for as long as the block lasts."""
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
    app, listener = make_app(*arguments), listening()
    answer.send(url_of(listener))
    server_of(app).run(sockets=[listener])
