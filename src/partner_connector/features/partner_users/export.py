"""CSV export of all matching partner users.

Rows are read in batches, so memory does not grow with their number, and no database connection is
held while a slow client downloads. Rows are ordered by id, and ids never change: a user that
matches during the whole export is in the file exactly once, as it was when its batch was read. One
long transaction would show a single instant, but it would hold a connection, keep PostgreSQL from
vacuuming and SQLite from truncating its WAL for as long as the client takes.
"""

import csv
import io
import re
import uuid
from collections.abc import AsyncIterator, Iterable
from datetime import datetime

from partner_connector.db.engine import Database
from partner_connector.features.partner_users.repository import (
    PartnerUserFilter,
    PartnerUserRepository,
)
from partner_connector.features.partner_users.schemas import PartnerUserView
from partner_connector.ids import encode
from partner_connector.web.schemas import rfc3339

# A batch is some milliseconds of work that block the event loop.
_BATCH_SIZE = 500

_NOT_IN_CSV = {"integration_id", "is_token_holder", "grants", "history"}
COLUMNS = (
    *(name for name in PartnerUserView.model_fields if name not in _NOT_IN_CSV),
    "partner_name",
)
_PREFIXES = {"id": "usr", "partner_id": "ptn"}

# A sign that starts a formula in a spreadsheet, in its ASCII and full-width forms, also after
# characters that a spreadsheet does not show.
_FORMULA = (
    r"[\s\x00-\x1f\x7f-\xa0\u00ad\u180e\u200b-\u200f\u2028-\u202f\u2060-\u2064\ufeff]*"
    r"[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212]"
)
# A spreadsheet that splits cells at semicolons or tabs ignores the CSV quotes.
_BEFORE_A_FORMULA = re.compile(rf"(?:\A|(?<=[;\t\n])|(?<=\r)(?!\n))(?={_FORMULA})|\A(?=[\t\r\n])")
# Matched first: it takes a third of the time, and most texts are harmless.
_MAY_HOLD_A_FORMULA = re.compile(rf"{_FORMULA}|[^;\t\r\n]*[;\t\r\n]")


async def partner_users_csv(
    database: Database, workspace_id: uuid.UUID, filters: PartnerUserFilter
) -> AsyncIterator[bytes]:
    """Yield a header row, then one row for each user.

    Raises if a batch cannot be read, so that an incomplete file never looks complete.
    """
    yield _lines([[harmless(name) for name in COLUMNS]])
    last_id: uuid.UUID | None = None
    while True:
        async with database.autocommit_reads() as session:
            users = PartnerUserRepository(session, workspace_id)
            rows = await users.rows(COLUMNS[:-1], filters, after=last_id, limit=_BATCH_SIZE)
        if not rows:
            return
        yield _lines([_cell(*pair) for pair in zip(COLUMNS, row, strict=True)] for row in rows)
        last_id = rows[-1][0]


def harmless(text: str) -> str:
    """Return the text with a `'` before each part that a spreadsheet would run as a formula."""
    return _BEFORE_A_FORMULA.sub("'", text) if _MAY_HOLD_A_FORMULA.match(text) else text


def _cell(name: str, value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return harmless(value)
        case uuid.UUID():
            return encode(_PREFIXES[name], value)
        case datetime():
            return rfc3339(value)
    return str(value)


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
