"""Cursor paging (REFERENCE 7): the rows of one page, and the cursors around them."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from graph_simulator.graph import errors
from graph_simulator.switches import Switches

DEFAULT_LIMIT = 25
_SEAL = b"AQHR"
"""Makes every cursor begin with QVFI, as Meta's do."""


@dataclass(slots=True)
class Page:
    items: Sequence[Any]
    before: str = ""
    after: str = ""
    has_next: bool = False
    has_previous: bool = False
    limit: int = DEFAULT_LIMIT


def asked_limit(params: dict[str, str], switches: Switches) -> int:
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


def cut(
    items: Sequence[Any],
    identify: Callable[[Any], str],
    params: dict[str, str],
    edge: str,
    switches: Switches,
) -> Page:
    """One page of an edge. `edge` names the list, so a cursor of another list is refused."""
    limit = asked_limit(params, switches)
    start, end, blank = 0, 0, False
    if after := params.get("after"):
        position, blank = _read(after, edge, items, identify)
        start = position + 1
    elif before := params.get("before"):
        position, _ = _read(before, edge, items, identify)
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
        before=_write(start, identify(chosen[0]), edge),
        after=_write(end - 1, identify(chosen[-1]), edge),
        has_next=end < len(items),
        has_previous=start > 0,
        limit=limit,
    )


def _empty_page(
    start: int, edge: str, items: Sequence[Any], identify: Callable[[Any], str], limit: int
) -> Page:
    """No rows, and still a `next`: its cursor is marked so that rows come after it."""
    marked = _write(start - 1, identify(items[start - 1]), edge, blank=True)
    return Page(items=(), before=marked, after=marked, has_next=True, limit=limit)


def _write(position: int, item_id: str, edge: str, *, blank: bool = False) -> str:
    text = f"{crc32(edge.encode()):x}.{position}.{item_id}{'.b' if blank else ''}"
    return urlsafe_b64encode(_SEAL + text.encode()).decode().rstrip("=")


def _read(
    cursor: str, edge: str, items: Sequence[Any], identify: Callable[[Any], str]
) -> tuple[int, bool]:
    """Where the cursor points. It dies when its row is gone (REFERENCE 7: do not store them)."""
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).removeprefix(_SEAL).decode()
        tag, place, item_id, *rest = raw.split(".")
        position = int(place)
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
