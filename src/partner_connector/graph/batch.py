"""Many reads in one request: how they are written down, and how each answer is taken apart.

Format: 8.1 [D] gapi/batch-requests. The body of each answer is JSON in JSON, `null` stands for a
read that Meta did not get to, and a failure of the whole is one error object, not a list.
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
    """The form of one batch, without its credentials."""
    operations = [{"method": "GET", "relative_url": _relative_url(read)} for read in reads]
    return {"batch": json.dumps(operations), "include_headers": "true"}


def item_headers(item: Any) -> httpx.Headers:
    """The headers inside one item; usage is reported there, not only outside (6.1 [D])."""
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
    """What one item says: the body of its read, or the error that it is."""
    if not isinstance(item, dict) or not isinstance(item.get("code"), int):
        return Temporary("Meta did not run this part of the batch")
    inner = item_headers(item)
    headers = inner if parse_usage(inner) else outer
    content = parse_answer(str(item.get("body") or "").encode(errors="replace"))
    error = classify(item["code"], headers, content, secrets=secrets)
    if error is not None:
        return error
    if not isinstance(content, dict):
        return UnknownGraphError("The read was answered with a list")
    return content


def items_of(content: Any, expected: int) -> list[Any]:
    """The list of items; one that does not match the reads cannot be told apart, so is refused."""
    if not isinstance(content, list) or len(content) != expected:
        raise UnknownGraphError("The batch was answered with something else than one item per read")
    return content


def _relative_url(read: Read) -> str:
    query = urlencode(read.query())
    return f"{read.path}?{query}" if query else read.path
