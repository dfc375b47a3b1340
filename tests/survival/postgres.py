"""A PostgreSQL of one's own, that can be struck dead and started again."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.support import postgres_wheel
from tests.support.postgres_wheel import PostgresServer

_STARTS_WITHIN_SECONDS = 30


class OwnPostgres:
    """One server of ours; its address stays the same."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.url = server.get_uri()

    def strike_dead(self, how: signal.Signals) -> None:
        """SIGQUIT is an immediate shutdown, without a checkpoint; SIGKILL leaves the backends alone
        for a moment.
        """
        process = self._server.get_postmaster_info().process
        assert process is not None
        process.send_signal(how)
        process.wait(timeout=_STARTS_WITHIN_SECONDS)

    def start(self) -> None:
        """Start again, through the recovery from its log."""
        deadline = time.monotonic() + _STARTS_WITHIN_SECONDS
        while True:
            try:
                self._server.ensure_postgres_running()
            except subprocess.SubprocessError:
                # Backends that outlived a SIGKILL still hold its memory.
                assert time.monotonic() < deadline, "PostgreSQL did not start again"
                time.sleep(0.2)
            else:
                break
        with psycopg.connect(self.url) as connection:
            connection.execute("SELECT 1")


@contextmanager
def own_postgres(directory: Path) -> Iterator[OwnPostgres]:
    """A fresh server below this directory, ended with the block."""
    with postgres_wheel.started(directory) as server:
        yield OwnPostgres(server)
