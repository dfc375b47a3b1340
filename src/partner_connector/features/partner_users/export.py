"""All partner users that match, as CSV: read in pieces, so that neither memory nor a connection
depends on how many there are or on how slowly they are taken.

Rows come in the order of their ids, which never change: whoever matches from the first piece to the
last is in the file exactly once, as they were when their piece was read. One long transaction would
show one instant, and for as long as a slow client likes hold a connection, keep PostgreSQL from
vacuuming and SQLite from shortening its log.
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

# Some milliseconds of work, during which this process answers nobody else.
_ROWS_AT_A_TIME = 500

_NOT_IN_CSV = {"integration_id", "is_token_holder", "grants", "history"}
COLUMNS = (
    *(name for name in PartnerUserView.model_fields if name not in _NOT_IN_CSV),
    "partner_name",
)
_PREFIXES = {"id": "usr", "partner_id": "ptn"}

# What a spreadsheet takes for a formula, also behind what it does not show, and as other keyboards
# write the signs.
_FORMULA = (
    r"[\s\x00-\x1f\x7f-\xa0\u00ad\u180e\u200b-\u200f\u2028-\u202f\u2060-\u2064\ufeff]*"
    r"[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212]"
)
# Where semicolons or tabs divide cells it heeds no quotes of ours.
_BEFORE_A_FORMULA = re.compile(rf"(?:\A|(?<=[;\t\n])|(?<=\r)(?!\n))(?={_FORMULA})|\A(?=[\t\r\n])")
# Asked first, since it takes a third of the time and most texts are harmless.
_IN_QUESTION = re.compile(rf"{_FORMULA}|[^;\t\r\n]*[;\t\r\n]")


async def partner_users_csv(
    database: Database, workspace_id: uuid.UUID, only: PartnerUserFilter
) -> AsyncIterator[bytes]:
    """A line of names, then one of each user. Fails rather than end early."""
    yield _lines([[harmless(name) for name in COLUMNS]])
    last: uuid.UUID | None = None
    while True:
        async with database.looking() as session:
            users = PartnerUserRepository(session, workspace_id)
            rows = await users.rows(COLUMNS[:-1], only, after=last, at_most=_ROWS_AT_A_TIME)
        if not rows:
            return
        yield _lines([_cell(*pair) for pair in zip(COLUMNS, row, strict=True)] for row in rows)
        last = rows[-1][0]


def harmless(text: str) -> str:
    """The text as every spreadsheet takes it for text: what looks like a formula gets a `'`."""
    return _BEFORE_A_FORMULA.sub("'", text) if _IN_QUESTION.match(text) else text


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
