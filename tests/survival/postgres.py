"""PostgreSQL server that can be killed and started again."""

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
    """Server with a fixed address."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.url = server.get_uri()

    def kill(self, how: signal.Signals) -> None:
        """Send SIGQUIT (immediate shutdown) or SIGKILL to the postmaster.

        SIGQUIT skips the checkpoint. After SIGKILL the backends live on for a moment.
        """
        process = self._server.get_postmaster_info().process
        assert process is not None
        process.send_signal(how)
        process.wait(timeout=_STARTS_WITHIN_SECONDS)

    def start(self) -> None:
        """Start again, with recovery from the log."""
        deadline = time.monotonic() + _STARTS_WITHIN_SECONDS
        while True:
            try:
                self._server.ensure_postgres_running()
            except subprocess.SubprocessError:
                # Backends that survived a SIGKILL still hold the shared memory.
                assert time.monotonic() < deadline, "PostgreSQL did not start again"
                time.sleep(0.2)
            else:
                break
        with psycopg.connect(self.url) as connection:
            connection.execute("SELECT 1")


@contextmanager
def own_postgres(directory: Path) -> Iterator[OwnPostgres]:
    """Run a new server below this directory until the block ends."""
    with postgres_wheel.started(directory) as server:
        yield OwnPostgres(server)
