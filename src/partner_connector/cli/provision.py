"""Prerequisites of a process: the data directory, a migrated database, and keys.

With SQLite they are created when they are missing, so that one command is enough. With PostgreSQL
nothing is ever created automatically: no operator would back up a key that appeared by accident.
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
from partner_connector.sealing.public import PublicKeyring
from partner_connector.sealing.reloading import ReloadingKeyring
from partner_connector.settings import ENV_PREFIX, Settings, load_settings

Report = Callable[[str], None]


def public_sibling(path: Path) -> Path:
    """Return the file for the public half: `keyring.public.json` for `keyring.json`."""
    return path.with_suffix(f".public{path.suffix}")


def prepare_database(settings: Settings, report: Report) -> bool:
    """Create and migrate a SQLite database, or require that a PostgreSQL database is at head.

    Returns whether the database was created. Raises `OperatorError`.
    """
    if not settings.uses_sqlite:
        revisions.require_head(settings)
        return False
    path = Path(settings.sqlalchemy_url().database or "")
    try:
        is_new = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if is_new:
            path.touch(mode=0o600)
            report(f"created the database {path}")
    except OSError as error:
        raise OperatorError(
            f"{ENV_PREFIX}DATA_DIR: {path} cannot be created: {error.strerror}"
        ) from None
    migrate.upgrade(settings)
    return is_new


@asynccontextmanager
async def database_open(settings: Settings) -> AsyncIterator[Database]:
    """Prepare the database for one command, and close it afterwards."""
    prepare_database(settings, terminal.report)
    database = open_database(settings)
    try:
        yield database
    finally:
        await database.close()


def migrate_database(report: Report) -> None:
    """Migrate the database to the newest revision; create a SQLite database first."""
    settings = load_settings()
    if settings.uses_sqlite:
        prepare_database(settings, report)
    else:
        migrate.upgrade(settings)
    report("the database is at the newest revision")


def collect_traces(settings: Settings) -> None:
    """Load the exporter and send traces to `TRACES_ENDPOINT`; do nothing without this setting."""
    if settings.traces_endpoint is None:
        return
    try:
        export = import_module("partner_connector.telemetry.trace_export")
    except ModuleNotFoundError:
        raise OperatorError(
            f"{ENV_PREFIX}TRACES_ENDPOINT: needs `pip install partner-connector[traces]`"
        ) from None
    export.start(settings.traces_endpoint)


def private_keyring(settings: Settings, report: Report) -> ReloadingKeyring:
    """Return the full keyring, which only workers may have. Raises `OperatorError`."""
    path = settings.private_keyring_file
    may_create = settings.uses_sqlite and settings.keyring_file is None
    if may_create and not path.exists():
        _refuse_if_keyring_was_lost(path)
        generate_keyring(path)
        report(f"created the keyring {path}: back it up; no stored token can be opened without it")
    ring = _open(path)
    if not ring.latest().holds_private_keys:
        raise OperatorError(
            f"{ENV_PREFIX}KEYRING_FILE: a worker needs the full keyring; this file is its "
            "public half"
        )
    if may_create and not settings.public_keyring_file.exists():
        # After a restore of the full keyring alone: the public half is how a later loss is noticed.
        export_public(ring.latest(), settings.public_keyring_file)
    return ring


def public_keyring(settings: Settings, report: Report) -> PublicKeyring:
    """Return the public half, for an API process without a worker. Raises `OperatorError`."""
    if settings.uses_sqlite and settings.keyring_file is None:
        private_keyring(settings, report)
    ring = _open(settings.public_keyring_file)
    if ring.latest().holds_private_keys:
        raise OperatorError(
            f"{ENV_PREFIX}KEYRING_FILE: an API process must not be able to open tokens; give it "
            "the public half (`partner-connector keys public --out FILE`) or start it "
            "`--with-worker`"
        )
    return PublicKeyring(ring)


def any_keyring(settings: Settings, report: Report) -> PublicKeyring:
    """Return the full keyring or its public half; either can hash API keys."""
    if settings.uses_sqlite and settings.keyring_file is None:
        private_keyring(settings, report)
    return PublicKeyring(_open(available_keyring_file(settings)))


def available_keyring_file(settings: Settings) -> Path:
    """Return the file of the full keyring, or of its public half if only that exists."""
    path, public = settings.private_keyring_file, settings.public_keyring_file
    return public if public.exists() and not path.exists() else path


def generate_keyring(path: Path) -> KeyringFile:
    """Create a keyring and, beside it, its public half. Raises `KeyringError` if one exists.

    If only the public half of a lost keyring is left, existing API keys remain valid.
    """
    public = public_sibling(path)
    remaining = keyring_file.read(public) if public.exists() else None
    ring = keyring_file.generate(remaining)
    keyring_file.write_new(path, ring)
    export_public(ring, public)
    return ring


def rotate_keyring(path: Path, accepted_for: timedelta = ACCEPTED_FOR) -> KeyringFile:
    """Add a key, make it current, and write the file and its public half."""
    with keyring_file.keyring_lock(path):
        return _replace_keyring(path, keyring_file.rotated(_open(path).latest(), accepted_for))


def remove_key(path: Path, key_id: str) -> KeyringFile:
    """Remove a key that seals nothing from the file and its public half.

    Raises `KeyringError` for the current key, and for a key that callers may still seal with.
    """
    with keyring_file.keyring_lock(path):
        return _replace_keyring(path, keyring_file.without_key(_open(path).latest(), key_id, now()))


def _replace_keyring(path: Path, ring: KeyringFile) -> KeyringFile:
    # The full keyring first: a worker must have the key before a client can seal a token for it.
    keyring_file.replace_atomically(path, ring)
    export_public(ring, public_sibling(path))
    return ring


def export_public(ring: KeyringFile, path: Path) -> None:
    """Write the public half. Replaces an older file."""
    keyring_file.replace_atomically(path, ring.public_half())


def _refuse_if_keyring_was_lost(path: Path) -> None:
    """Raise `OperatorError` if only the public half exists.

    A new keyring cannot open what the lost keyring sealed, so an operator has to decide.
    """
    public = public_sibling(path)
    if public.exists():
        raise OperatorError(
            f"{ENV_PREFIX}DATA_DIR: {path} is missing, but its public half {public} exists. "
            "Restore the file from a backup. Without a backup run `partner-connector keys "
            "generate`; then every token has to be handed over again"
        )


def _open(path: Path) -> ReloadingKeyring:
    try:
        return ReloadingKeyring(path)
    except KeyringError as error:
        hint = "; create one with `partner-connector keys generate`" if not path.exists() else ""
        raise OperatorError(f"{ENV_PREFIX}KEYRING_FILE: {error}{hint}") from None
