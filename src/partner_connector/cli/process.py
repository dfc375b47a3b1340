"""Parts that every long-running process needs: settings, metrics, signals and the event loop."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import structlog
import uvloop
from prometheus_client import start_http_server

from partner_connector.cli import provision
from partner_connector.errors import OperatorError
from partner_connector.settings import Settings, load_settings
from partner_connector.telemetry import metrics
from partner_connector.telemetry.logging import configure_logging

log = structlog.get_logger()


def configure() -> Settings:
    """Load the settings and set up logs and traces. Raises `OperatorError`."""
    settings = load_settings()
    configure_logging(settings)
    provision.collect_traces(settings)
    return settings


def tune_gc() -> None:
    """Exclude the objects of the start from garbage collection, and collect less often.

    Call it once the process has started. A sync job creates objects by the hundred thousand, and
    scanning the permanent objects again and again took a third of the time of a big job.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@contextlib.contextmanager
def metrics_served(settings: Settings) -> Iterator[None]:
    """Serve `/metrics` on `METRICS_PORT` in a separate thread. Raises `OperatorError`.

    Listens on every address: an operator who sets the port also decides who can reach it.
    """
    if settings.metrics_port is None:
        yield
        return
    try:
        server, thread = start_http_server(settings.metrics_port, registry=metrics.REGISTRY)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OperatorError(
            f"cannot serve metrics on port {settings.metrics_port}: {reason}; choose another "
            "METRICS_PORT"
        ) from None
    log.info("metrics_listening", port=server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def signals_call(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at SIGTERM and SIGINT for as long as the block lasts."""
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
    try:
        yield
    finally:
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(name)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end on uvloop, which needs less time per request."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
