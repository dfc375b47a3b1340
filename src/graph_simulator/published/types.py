"""`published.json` as types, edges and parameters that can be looked up."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

_EDGE = re.compile(r"(\w+)(?:\((.*)\))?: (\w+)")


@dataclass(frozen=True, slots=True)
class Readable:
    """What one read gives rows of: the node itself, or one of its edges."""

    name: str
    rows: str
    """A type of this book, or an empty text: then nothing about the read is described."""
    parameters: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    row_fields: Mapping[str, str] = field(default_factory=dict)
    """Fields the edge adds to its rows, each with the type inside it."""


@dataclass(frozen=True, slots=True)
class PublishedType:
    itself: Readable
    fields: Mapping[str, str]
    """Each with the type inside it; an empty text for a plain value."""
    edges: Mapping[str, Readable]
    is_node: bool
    """False for what only stands inside other answers."""


def _read_types(book: Mapping[str, Any]) -> Iterator[PublishedType]:
    for name, entry in book["types"].items():
        parameters, required = _parameters(entry.get("parameters", ()))
        edges = [_edge(text, entry) for text in _with_more(entry, "edges")]
        edges += [Readable(other, rows="") for other in entry.get("other_edges", ())]
        yield PublishedType(
            itself=Readable(name, name, parameters, required),
            fields=_fields(_with_more(entry, "fields")),
            edges={edge.name: edge for edge in edges},
            is_node="source" not in entry,
        )


def _with_more(entry: Mapping[str, Any], key: str) -> list[str]:
    """What the spec lists, and what other sources add to it."""
    return [*entry.get(key, ()), *_flat(entry.get(f"more_{key}", {}))]


def _edge(text: str, entry: Mapping[str, Any]) -> Readable:
    """`assigned_users(business*): AssignedUser`."""
    match = _EDGE.fullmatch(text)
    if match is None:
        raise ValueError(f"not an edge: {text}")
    name, listed, rows = match.groups()
    parameters, required = _parameters((listed or "").split(", ") if listed else ())
    added = _fields(_flat(entry.get("row_fields", {}).get(name, {})))
    return Readable(name, rows, parameters, required, added)


def _parameters(listed: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """All of them, and those with a star, which are required."""
    names = list(listed)
    required = frozenset(name.rstrip("*") for name in names if name.endswith("*"))
    return frozenset(name.rstrip("*") for name in names), required


def _fields(listed: Iterable[str]) -> dict[str, str]:
    """`primary_page: Page` → the type that is inside."""
    pairs = (text.partition(": ") for text in listed)
    return {name: inside for name, _, inside in pairs}


def _flat(by_source: Mapping[str, list[str]]) -> list[str]:
    return [name for names in by_source.values() for name in names]


BOOK: dict[str, Any] = json.loads(
    files("graph_simulator.published").joinpath("published.json").read_text(encoding="utf-8")
)
TYPES = {one.itself.name: one for one in _read_types(BOOK)}
PATHS = {name: tuple(TYPES[one] for one in path["of"]) for name, path in BOOK["paths"].items()}
READ_PARAMETERS = frozenset(_flat(BOOK["reads"]["parameters"]))
EXPANSION_ARGUMENTS = frozenset(_flat(BOOK["reads"]["expansion_arguments"]))
BATCH_PARAMETERS = frozenset(_flat(BOOK["batches"]["parameters"]))
OPERATION_KEYS = frozenset(_flat(BOOK["batches"]["operation_keys"]))
