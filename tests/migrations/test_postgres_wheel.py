"""The isolation of the tests' PostgreSQL server from other users of the machine."""

import stat
from pathlib import Path

from tests.support.postgres_wheel import PostgresServer


def test_lock_file_lies_in_a_directory_of_this_process() -> None:
    """Keep the lock file and the socket out of the directories of other users' runs."""
    own = Path(PostgresServer.runtime_path).parent
    assert own.name.startswith("pg-")
    assert PostgresServer.lock_path.parent == PostgresServer.runtime_path
    assert stat.S_IMODE(own.stat().st_mode) & stat.S_IWOTH == 0
