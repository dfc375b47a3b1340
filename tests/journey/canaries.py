"""Search for secrets, in every encoding, in everything that the product stores."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

SCHEMAS = ("public", "dbos")


def forms(secret: str) -> dict[str, bytes]:
    """Return the secret in every encoding; base64 at each of its three possible offsets."""
    raw = secret.encode()
    found = {
        "raw": raw,
        "url": quote(secret, safe="").encode(),
        "hex": raw.hex().encode(),
        "hex, upper case": raw.hex().upper().encode(),
        "utf-16": secret.encode("utf-16-le"),
    }
    for before in range(3):
        # Leave out the characters that also depend on the bytes before and after the secret.
        for name, encode in (
            ("base64", base64.b64encode),
            ("url base64", base64.urlsafe_b64encode),
        ):
            inner = encode(b"\0" * before + raw)[(8 * before + 5) // 6 :].rstrip(b"=")[:-1]
            found[f"{name}, {before} before"] = inner
    return found


def search(secrets: Iterable[str], places: Mapping[str, bytes]) -> list[str]:
    """Return the places and encodings in which a secret was found, never the secret itself."""
    needles = [
        (number, form, needle)
        for number, secret in enumerate(sorted(secrets))
        for form, needle in sorted(forms(secret).items())
    ]
    return [
        f"secret {number} in {place} as {form}"
        for place, content in places.items()
        for number, form, needle in needles
        if needle in content
    ]


def files_of(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every file below the directory, with its name."""
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            yield f"file {path.relative_to(directory)}", path.read_bytes()


def tables_of(database_url: str) -> Iterator[tuple[str, bytes]]:
    """Yield every value of every table of the database."""
    with psycopg.connect(database_url) as server:
        listed = server.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema = ANY(%s) AND table_type = 'BASE TABLE' ORDER BY 1, 2",
            [list(SCHEMAS)],
        ).fetchall()
        for schema, table in listed:
            query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, table))
            values = (value for row in server.execute(query) for value in row)
            yield f"table {schema}.{table}", b"\n".join(map(_as_bytes, values))


def _as_bytes(value: object) -> bytes:
    if isinstance(value, (bytes, memoryview)):
        return bytes(value) + b"\n" + bytes(value).hex().encode()
    return value.encode() if isinstance(value, str) else repr(value).encode()
