"""Declared reads, and pages of answers.

Facts about Meta are on the page `docs/reference/graph-facts.md`, named here as `#…`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from partner_connector.graph.errors import UnknownGraphError

_PATH = re.compile(r"\w+(?:/\w+)*", re.ASCII)
_VERSION = re.compile(r"v\d+(?:/|$)", re.ASCII)
# Only `credentials` adds credentials, only `debug_token` takes `input_token`, and `method` would
# turn a GET into a write. `fields` and `limit` are members of `Read`. The others no longer work
# since v26.0 (#ids-parameter).
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
# A bearer credential: it lets its holder join the business.
_FORBIDDEN_FIELD = "invite_link"
_LINKS = ("next", "previous")


@dataclass(frozen=True, slots=True)
class Read:
    """A GET: `Read("123/agencies", ("id", "name"))`; no version, no leading slash, no token.

    `limit` is the size of the first page in rows, `later_limit` the size of later pages if it
    differs. Most lists end with their first page; long ones are read faster with larger pages.
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
            raise ValueError(f"a read must not have these parameters: {sorted(forbidden)}")
        if any(_FORBIDDEN_FIELD in name for name in self.fields):
            raise ValueError(f"{_FORBIDDEN_FIELD} is a credential and is never read")
        if self.limit is not None and self.limit < 1:
            raise ValueError("a page has at least one row")

    def after(self, cursor: str) -> "Read":
        """Return the same read, starting after this cursor."""
        return replace(self, params={**self.params, "after": cursor})

    def from_start(self) -> "Read":
        """Return the same read from page one."""
        return replace(self, params={k: v for k, v in self.params.items() if k != "after"})

    def with_limit(self, n: int | None) -> "Read":
        """Return the same read with another page size; None uses Meta's default."""
        return replace(self, limit=n)

    @property
    def edge(self) -> str:
        """Last part of the path, which is safe to log and to show."""
        return self.path.rpartition("/")[2]

    @property
    def subject(self) -> str:
        """First part of the path: the object that is read. Budgets are counted per object."""
        return self.path.partition("/")[0]

    def query(self) -> dict[str, str]:
        """Return the query parameters as sent, without credentials."""
        query = dict(self.params)
        if self.fields:
            query["fields"] = ",".join(self.fields)
        if self.limit is not None:
            query["limit"] = str(self.limit)
        return query


@dataclass(frozen=True, slots=True)
class Page:
    """A page of an edge.

    `run` is 2 after the edge was read again from page one; the caller then drops the rows of run 1.
    """

    rows: list[dict[str, Any]]
    next_cursor: str | None
    total_count: int | None
    run: int = 1


def page_from(body: Mapping[str, Any]) -> Page:
    """Return the page in an edge's answer, from `GraphReader.get` or from one item of a batch.

    There are more rows only if `paging.next` exists: a short or empty page can have it, and the
    last page has `cursors.after` as well (#paging). Raise `UnknownGraphError` for an answer without
    rows, or with `paging.next` but no cursor: treating that as the end would lose rows silently.
    """
    rows = body.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UnknownGraphError("Meta's answer for the edge has no list of rows")
    paging = _object(body.get("paging"))
    cursor = _object(paging.get("cursors")).get("after") if paging.get("next") else None
    if paging.get("next") and not (isinstance(cursor, str) and cursor):
        raise UnknownGraphError("Meta has more rows of the edge but returned no cursor")
    total = _object(body.get("summary")).get("total_count")
    return Page(
        rows=rows,
        next_cursor=cursor,
        total_count=total if isinstance(total, int) and not isinstance(total, bool) else None,
    )


def nested_page(row: Mapping[str, Any], edge: str) -> Page:
    """Return the first page of an expanded edge; Meta omits an empty one (#field-expansion)."""
    return page_from(row[edge]) if edge in row else Page([], None, None)


def hide_links(obj: dict[str, Any]) -> dict[str, Any]:
    """Replace `paging.next` and `previous`, which can hold the token (#paging); a JSON object hook.

    Only their presence is used, so only that is kept.
    """
    paging = obj.get("paging")
    if isinstance(paging, dict):
        for link in _LINKS:
            if paging.get(link):
                paging[link] = "hidden"
    return obj


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
