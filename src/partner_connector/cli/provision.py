"""What must exist before a process starts: the data directory, a migrated database, keys.

On SQLite it is made when it is missing, so that one command is enough. On PostgreSQL nothing is
ever made by itself: a key that appears by accident is a key whose loss nobody notices.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib import import_module
from pathlib import Path

from partner_connector.cli import migrate, terminal
from partner_connector.clock import now
from partner_connector.db import revisions
from partner_connector.db.engine import Database, open_database
from partner_connector.errors import OperatorError
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.keyring import ACCEPTED_FOR, KeyringError, KeyringFile
from partner_connector.sealing.on_disk import KeyringOnDisk
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import ENV_PREFIX, Settings, load_settings

Tell = Callable[[str], None]


def public_sibling(path: Path) -> Path:
    """Where the public half of `keyring.json` is written: `keyring.public.json`."""
    return path.with_suffix(f".public{path.suffix}")


def prepare_database(settings: Settings, tell: Tell) -> None:
    """Make and migrate a SQLite database; demand that a PostgreSQL one is at head."""
    if not settings.uses_sqlite:
        revisions.require_head(settings)
        return
    path = Path(settings.sqlalchemy_url().database or "")
    try:
        is_new = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if is_new:
            path.touch(mode=0o600)
            tell(f"created the database {path}")
    except OSError as error:
        raise OperatorError(
            f"{ENV_PREFIX}DATA_DIR: {path} cannot be made: {error.strerror}"
        ) from None
    migrate.upgrade(settings)


@asynccontextmanager
async def database_open(settings: Settings) -> AsyncIterator[Database]:
    """Prepare the database for one command, and close it behind the command."""
    prepare_database(settings, terminal.tell)
    database = open_database(settings)
    try:
        yield database
    finally:
        await database.close()


def migrate_database(tell: Tell) -> None:
    """Bring the database to the newest revision; make a SQLite one."""
    settings = load_settings()
    if settings.uses_sqlite:
        prepare_database(settings, tell)
    else:
        migrate.upgrade(settings)
    tell("the database is at the newest revision")


def collect_traces(settings: Settings) -> None:
    """Where somebody takes them. Only then is the code that sends them loaded."""
    if settings.traces_endpoint is None:
        return
    try:
        export = import_module("partner_connector.telemetry.trace_export")
    except ModuleNotFoundError:
        raise OperatorError(
            f"{ENV_PREFIX}TRACES_ENDPOINT: needs `pip install partner-connector[traces]`"
        ) from None
    export.start(settings.traces_endpoint)


def private_keyring(settings: Settings, tell: Tell) -> KeyringOnDisk:
    """The full keyring, for worker hosts. Raises `OperatorError`."""
    path = settings.private_keyring_file
    is_ours_to_make = settings.uses_sqlite and settings.keyring_file is None
    if is_ours_to_make and not path.exists():
        _refuse_to_replace_a_lost_one(path)
        generate_keyring(path)
        tell(f"created the keyring {path}: back it up, without it no stored token opens again")
    ring = _open(path)
    if not ring.latest().holds_private_keys:
        raise OperatorError(
            f"{ENV_PREFIX}KEYRING_FILE: the worker needs the full keyring, this is a public one"
        )
    if is_ours_to_make and not settings.public_keyring_file.exists():
        # As after restoring the full one alone: without its public half a loss would go unnoticed.
        export_public(ring.latest(), settings.public_keyring_file)
    return ring


def public_keyring(settings: Settings, tell: Tell) -> PublicKeyring:
    """What an API process without a worker may have. Raises `OperatorError`."""
    if settings.uses_sqlite and settings.keyring_file is None:
        private_keyring(settings, tell)
    ring = _open(settings.public_keyring_file)
    if ring.latest().holds_private_keys:
        raise OperatorError(
            f"{ENV_PREFIX}KEYRING_FILE: an API process must not be able to open tokens; give it "
            "the public half (`partner-connector keys public --out FILE`) or run it "
            "`--with-worker`"
        )
    return PublicKeyring(ring)


def any_keyring(settings: Settings, tell: Tell) -> PublicKeyring:
    """Whichever half is there: enough for hashing API keys on the command line."""
    if settings.uses_sqlite and settings.keyring_file is None:
        private_keyring(settings, tell)
    return PublicKeyring(_open(whichever_half(settings)))


def whichever_half(settings: Settings) -> Path:
    """Return the file of the whole keyring, or of its public half where that is all there is."""
    path = settings.private_keyring_file
    return path if path.exists() else settings.public_keyring_file


def generate_keyring(path: Path) -> KeyringFile:
    """A new keyring and, beside it, its public half. Raises `KeyringError` where one exists.

    Where the public half is all that is left of a lost one, API keys go on working.
    """
    public = public_sibling(path)
    survivor = keyring_file.read(public) if public.exists() else None
    ring = keyring_file.generate(survivor)
    keyring_file.write_new(path, ring)
    export_public(ring, public)
    return ring


def rotate_keyring(path: Path, accepted_for: timedelta = ACCEPTED_FOR) -> KeyringFile:
    """A new current key in the file, and in its public half."""
    with keyring_file.changing(path):
        return _replace_keyring(path, keyring_file.rotated(_open(path).latest(), accepted_for))


def remove_key(path: Path, key_id: str) -> KeyringFile:
    """The file and its public half without a key that nothing is sealed under any more.

    Raises `KeyringError` for the current key, and for one that clients may still seal for.
    """
    with keyring_file.changing(path):
        return _replace_keyring(path, keyring_file.without(_open(path).latest(), key_id, now()))


def _replace_keyring(path: Path, ring: KeyringFile) -> KeyringFile:
    # The worker's first: it must not meet a token that is sealed for a key it does not have.
    keyring_file.replace_atomically(path, ring)
    export_public(ring, public_sibling(path))
    return ring


def export_public(ring: KeyringFile, path: Path) -> None:
    """Write the public half, over an older one if there is."""
    keyring_file.replace_atomically(path, ring.public_half())


def _refuse_to_replace_a_lost_one(path: Path) -> None:
    """A new keyring opens nothing of what the lost one sealed: that is for a person to decide."""
    public = public_sibling(path)
    if public.exists():
        raise OperatorError(
            f"{ENV_PREFIX}DATA_DIR: {path} is gone, but {public} is there: restore it from a "
            "backup; if there is none, `partner-connector keys generate` makes another, and every "
            "token has to be handed over again"
        )


def _open(path: Path) -> KeyringOnDisk:
    try:
        return KeyringOnDisk(path)
    except KeyringError as error:
        hint = "; make one with `partner-connector keys generate`" if not path.exists() else ""
        raise OperatorError(f"{ENV_PREFIX}KEYRING_FILE: {error}{hint}") from None
