"""A disk that is full for our database, and for nothing else on this machine."""

import random
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from tests.survival.deployment import Deployment

# Each file of the process may grow to this: SQLite's log is full at a random moment of a check.
_LEAST_ROOM, _MOST_ROOM = 50_000, 500_000
_NO_ROOM = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE EXCEPTION USING ERRCODE = 'disk_full',
  MESSAGE = 'could not extend file: No space left on device';
END $$;
"""
_NO_ROOM_IN = """
CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON {table} EXECUTE FUNCTION no_room();
"""


@contextmanager
def full(deployment: Deployment, dice: random.Random) -> Iterator[None]:
    """Until the block ends: SQLite cannot write on, PostgreSQL refuses rows of one table."""
    if deployment.is_embedded:
        with _sqlite_full(deployment, dice.randrange(_LEAST_ROOM, _MOST_ROOM)):
            yield
        return
    # Early or late in what one transaction applies.
    table = dice.choice(("staged_users", "assets", "partner_users", "grants"))
    deployment.execute(_NO_ROOM + _NO_ROOM_IN.format(table=table))
    try:
        yield
    finally:
        deployment.execute("DROP FUNCTION no_room CASCADE")


@contextmanager
def _sqlite_full(deployment: Deployment, room: int) -> Iterator[None]:
    file = sqlite3.connect(deployment.sqlite_file, timeout=30)
    # Begins its log anew, so that there is as much room as we say.
    file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.close()
    process_id = deployment.api.process.pid
    _, most = resource.prlimit(process_id, resource.RLIMIT_FSIZE)
    resource.prlimit(process_id, resource.RLIMIT_FSIZE, (room, most))
    try:
        yield
    finally:
        resource.prlimit(process_id, resource.RLIMIT_FSIZE, (most, most))
