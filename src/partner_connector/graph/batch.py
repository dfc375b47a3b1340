"""Encoding and decoding of batch requests, which hold many reads.

Format: `docs/reference/graph-facts.md#batches`. The body of each answer is JSON inside JSON. A
`null` item is a read that Meta did not run. A failure of the whole batch is one error object, not a
list.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

import httpx

from partner_connector.graph.classify import classify, parse_answer
from partner_connector.graph.errors import GraphError, Temporary, UnknownGraphError
from partner_connector.graph.reads import Read
from partner_connector.graph.usage import parse_usage

MAX_READS = 50


def batch_form(reads: Sequence[Read]) -> dict[str, str]:
    """Return the form fields of one batch, without credentials."""
    operations = [{"method": "GET", "relative_url": _relative_url(read)} for read in reads]
    return {"batch": json.dumps(operations), "include_headers": "true"}


def item_headers(item: Any) -> httpx.Headers:
    """Return the headers of an item; they report usage too (`graph-facts.md#usage-headers`)."""
    listed = item.get("headers") if isinstance(item, dict) else None
    pairs = []
    for header in listed if isinstance(listed, list) else []:
        match header:
            case {"name": str(name), "value": str(value)} if name.isascii() and value.isprintable():
                pairs.append((name, value))
    return httpx.Headers(pairs)


def item_outcome(
    item: Any, outer: httpx.Headers, *, secrets: Iterable[str] = ()
) -> dict[str, Any] | GraphError:
    """Return the body of an item's read, or its error.

    `outer` are the headers of the batch response. They are used where the item reports no usage.
    """
    if not isinstance(item, dict) or not isinstance(item.get("code"), int):
        return Temporary("Meta did not run this read of the batch")
    inner = item_headers(item)
    headers = inner if parse_usage(inner) else outer
    content = parse_answer(str(item.get("body") or "").encode(errors="replace"))
    error = classify(item["code"], headers, content, secrets=secrets)
    if error is not None:
        return error
    if not isinstance(content, dict):
        return UnknownGraphError("Meta answered the read with a list")
    return content


def items_of(content: Any, expected: int) -> list[Any]:
    """Return the items of a batch answer.

    Raise `UnknownGraphError` unless there is one item per read: the items have no ids, so they are
    matched to the reads by position only.
    """
    if not isinstance(content, list) or len(content) != expected:
        raise UnknownGraphError("Meta's answer to the batch does not have one item per read")
    return content


def _relative_url(read: Read) -> str:
    query = urlencode(read.query())
    return f"{read.path}?{query}" if query else read.path
