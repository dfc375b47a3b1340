"""A full disk that only the product's database sees."""

import random
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from tests.survival.deployment import Deployment

# Limits of the process's file size, so that SQLite's log is full at a random moment of a check.
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
    """Let SQLite stop writing, or PostgreSQL refuse rows of one table, until the block ends."""
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
    # Truncates the log, so that exactly `room` bytes are left.
    file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file.close()
    process_id = deployment.api.process.pid
    _, most = resource.prlimit(process_id, resource.RLIMIT_FSIZE)
    resource.prlimit(process_id, resource.RLIMIT_FSIZE, (room, most))
    try:
        yield
    finally:
        resource.prlimit(process_id, resource.RLIMIT_FSIZE, (most, most))
