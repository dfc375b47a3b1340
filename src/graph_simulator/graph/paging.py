"""Cursor paging (`docs/reference/graph-facts.md#paging`): the rows of one page, and its cursors."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from graph_simulator.graph import errors
from graph_simulator.switches import Switches

DEFAULT_LIMIT = 25
_CURSOR_PREFIX = b"AQHR"
"""Start of every cursor: encoded it is `QVFI`, as in Meta's cursors."""


@dataclass(slots=True)
class Page:
    items: Sequence[Any]
    before: str = ""
    after: str = ""
    has_next: bool = False
    has_previous: bool = False
    limit: int = DEFAULT_LIMIT


def requested_limit(params: dict[str, str], switches: Switches) -> int:
    text = params.get("limit", "")
    if not text:
        return DEFAULT_LIMIT
    if not text.isdigit() or text == "0":
        raise errors.bad_parameter(f"Param limit must be an integer greater than 0, not {text}")
    limit = int(text)
    if limit <= switches.max_page_limit:
        return limit
    if switches.over_limit == "refuse":
        raise errors.bad_parameter(f"Param limit must be at most {switches.max_page_limit}")
    return switches.max_page_limit


def page_of(
    items: Sequence[Any],
    identify: Callable[[Any], str],
    params: dict[str, str],
    edge: str,
    switches: Switches,
) -> Page:
    """Return one page of an edge. `edge` names the list; a cursor of another list is refused.

    Raises `GraphError` 2642 for a bad cursor, 100 for a bad limit.
    """
    limit = requested_limit(params, switches)
    start, end, blank = 0, 0, False
    if after := params.get("after"):
        position, blank = _decode_cursor(after, edge, items, identify)
        start = position + 1
    elif before := params.get("before"):
        position, _ = _decode_cursor(before, edge, items, identify)
        start, limit = max(0, position - limit), min(limit, position)
    if switches.empty_pages and start and not blank and start < len(items):
        return _empty_page(start, edge, items, identify, limit)
    size = max(1, limit // 2) if switches.short_pages else limit
    end = min(len(items), start + size)
    chosen = items[start:end]
    if not chosen:
        return Page(items=(), limit=limit)
    return Page(
        items=chosen,
        before=_encode_cursor(start, identify(chosen[0]), edge),
        after=_encode_cursor(end - 1, identify(chosen[-1]), edge),
        has_next=end < len(items),
        has_previous=start > 0,
        limit=limit,
    )


def _empty_page(
    start: int, edge: str, items: Sequence[Any], identify: Callable[[Any], str], limit: int
) -> Page:
    """Return a page without rows that has a `next`. Its cursor is marked: rows come after it."""
    marked = _encode_cursor(start - 1, identify(items[start - 1]), edge, blank=True)
    return Page(items=(), before=marked, after=marked, has_next=True, limit=limit)


def _encode_cursor(position: int, item_id: str, edge: str, *, blank: bool = False) -> str:
    text = f"{crc32(edge.encode()):x}.{position}.{item_id}{'.b' if blank else ''}"
    return urlsafe_b64encode(_CURSOR_PREFIX + text.encode()).decode().rstrip("=")


def _decode_cursor(
    cursor: str, edge: str, items: Sequence[Any], identify: Callable[[Any], str]
) -> tuple[int, bool]:
    """Return the cursor's position, and whether it is of an empty page.

    Raises `GraphError` 2642 if the cursor's row no longer exists: cursors cannot be stored.
    """
    try:
        raw = (
            urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            .removeprefix(_CURSOR_PREFIX)
            .decode()
        )
        tag, position_text, item_id, *rest = raw.split(".")
        position = int(position_text)
    except (ValueError, binascii.Error):
        raise errors.bad_cursor() from None
    if tag != f"{crc32(edge.encode()):x}":
        raise errors.bad_cursor()
    if 0 <= position < len(items) and identify(items[position]) == item_id:
        return position, bool(rest)
    found = next((i for i, item in enumerate(items) if identify(item) == item_id), None)
    if found is None:
        raise errors.bad_cursor()
    return found, bool(rest)
