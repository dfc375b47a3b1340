"""The PostgreSQL server of the tests shares nothing with other users of the machine."""

import stat
from pathlib import Path

from tests.support.postgres_wheel import PostgresServer


def test_lock_file_lies_in_a_directory_of_this_process() -> None:
    """Neither the lock file nor a socket is where another user's run looks for its own."""
    own = Path(PostgresServer.runtime_path).parent
    assert own.name.startswith("pg-")
    assert PostgresServer.lock_path.parent == PostgresServer.runtime_path
    assert stat.S_IMODE(own.stat().st_mode) & stat.S_IWOTH == 0
