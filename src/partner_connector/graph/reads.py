"""A read that is declared but not yet sent, and one page of what came back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from partner_connector.graph.errors import UnknownGraphError

_PATH = re.compile(r"\w+(?:/\w+)*", re.ASCII)
_VERSION = re.compile(r"v\d+(?:/|$)", re.ASCII)
# Credentials are added in one place only, `method` would turn a GET into a write, and the others
# are dead since v26.0 (8.3 [D]). `invite_link` is a bearer credential: whoever has it may join.
_FORBIDDEN_PARAMS = frozenset(
    {
        "access_token",
        "appsecret_proof",
        "appsecret_time",
        "date_format",
        "debug",
        "fields",
        "ids",
        "input_token",
        "limit",
        "method",
        "pretty",
    }
)
_FORBIDDEN_FIELD = "invite_link"
_LINKS = ("next", "previous")


@dataclass(frozen=True, slots=True)
class Read:
    """One GET: `Read("123/agencies", ("id", "name"))`; no version, no leading slash, no token.

    `limit` is the size of the first page, `later_limit` that of the others where it differs: most
    lists end with their first page, and it is the long ones that are worth a try at greater pages.
    """

    path: str
    fields: tuple[str, ...] = ()
    params: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    later_limit: int | None = None

    def __post_init__(self) -> None:
        if not _PATH.fullmatch(self.path) or _VERSION.match(self.path):
            raise ValueError("a Graph path is ids and edge names joined by slashes")
        if forbidden := _FORBIDDEN_PARAMS.intersection(self.params):
            raise ValueError(f"not a parameter of a declared read: {sorted(forbidden)}")
        if any(_FORBIDDEN_FIELD in name for name in self.fields):
            raise ValueError(f"{_FORBIDDEN_FIELD} is a credential and is never read")
        if self.limit is not None and self.limit < 1:
            raise ValueError("a page has at least one row")

    def after(self, cursor: str) -> "Read":
        """The same read from behind this cursor."""
        return replace(self, params={**self.params, "after": cursor})

    def from_start(self) -> "Read":
        """The same read from page one."""
        return replace(self, params={k: v for k, v in self.params.items() if k != "after"})

    def with_limit(self, n: int | None) -> "Read":
        """The same read with another page size; None leaves it to Meta."""
        return replace(self, limit=n)

    @property
    def edge(self) -> str:
        """The last part of the path, which is safe to log and to show."""
        return self.path.rpartition("/")[2]

    @property
    def subject(self) -> str:
        """What is read, or whose edge: the first part of the path. Allowances are counted by it."""
        return self.path.partition("/")[0]

    def query(self) -> dict[str, str]:
        """The query parameters as sent, without credentials."""
        query = dict(self.params)
        if self.fields:
            query["fields"] = ",".join(self.fields)
        if self.limit is not None:
            query["limit"] = str(self.limit)
        return query


@dataclass(frozen=True, slots=True)
class Page:
    """One page of an edge.

    `run` grows when the edge had to be read again from page one; a reader of pages then drops
    what it holds from the run before.
    """

    rows: list[dict[str, Any]]
    next_cursor: str | None
    total_count: int | None
    run: int = 1


def page_from(body: Mapping[str, Any]) -> Page:
    """Read a page out of an edge's answer, from `GraphReader.get` or one item of a batch.

    There is more exactly while `paging.next` exists: a short or even empty page can have it, and
    `cursors.after` also stands on the last page (7 [D], [K]). An answer that promises more but
    does not say from where is an error, since taking it for the end would lose rows silently.
    """
    rows = body.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UnknownGraphError("The edge answered without a list of rows")
    paging = _object(body.get("paging"))
    cursor = _object(paging.get("cursors")).get("after") if paging.get("next") else None
    if paging.get("next") and not (isinstance(cursor, str) and cursor):
        raise UnknownGraphError("The edge has more rows but gives no cursor to them")
    total = _object(body.get("summary")).get("total_count")
    return Page(
        rows=rows,
        next_cursor=cursor,
        total_count=total if isinstance(total, int) and not isinstance(total, bool) else None,
    )


def nested_page(row: Mapping[str, Any], edge: str) -> Page:
    """The first page of an expanded edge; Meta leaves the key out when there are no rows (8.2)."""
    return page_from(row[edge]) if edge in row else Page([], None, None)


def hide_links(obj: dict[str, Any]) -> dict[str, Any]:
    """Blank `paging.next` and `previous`, which can hold the token (7 [D]); a JSON object hook.

    Only their presence means anything to us, so only that is kept.
    """
    paging = obj.get("paging")
    if isinstance(paging, dict):
        for link in _LINKS:
            if paging.get(link):
                paging[link] = "hidden"
    return obj


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
