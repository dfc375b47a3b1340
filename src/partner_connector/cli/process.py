"""A process of ours from its settings to its orderly end, whatever runs in it."""

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
    """Load the settings, and send logs and traces where they say."""
    settings = load_settings()
    configure_logging(settings)
    provision.collect_traces(settings)
    return settings


def spare_the_collector() -> None:
    """Once started. A check makes objects by the hundred thousand, and each time that led through
    everything that lives as long as the process: a third of the time of a big check.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@contextlib.contextmanager
def metrics_served(settings: Settings) -> Iterator[None]:
    """`/metrics` on a port of its own, in a thread of its own. Raises `OperatorError`.

    On every address: whoever sets `METRICS_PORT` decides who reaches it.
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
