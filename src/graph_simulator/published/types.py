"""Types, edges and parameters of `published.json`."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

_EDGE = re.compile(r"(\w+)(?:\((.*)\))?: (\w+)")


@dataclass(frozen=True, slots=True)
class Readable:
    """A kind of read: of a node itself, or of one of its edges."""

    name: str
    rows: str
    """Type of the rows; empty if `published.json` does not describe this read."""
    parameters: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    row_fields: Mapping[str, str] = field(default_factory=dict)
    """Fields that the edge adds to its rows, each with the type of its value."""


@dataclass(frozen=True, slots=True)
class PublishedType:
    itself: Readable
    fields: Mapping[str, str]
    """Each field with the type of its value; empty for a plain value."""
    edges: Mapping[str, Readable]
    is_node: bool
    """False for a type that occurs only inside other answers."""


def _read_types(document: Mapping[str, Any]) -> Iterator[PublishedType]:
    for name, entry in document["types"].items():
        parameters, required = _parameters(entry.get("parameters", ()))
        edges = [_edge(text, entry) for text in _from_all_sources(entry, "edges")]
        edges += [Readable(other, rows="") for other in entry.get("other_edges", ())]
        yield PublishedType(
            itself=Readable(name, name, parameters, required),
            fields=_fields(_from_all_sources(entry, "fields")),
            edges={edge.name: edge for edge in edges},
            is_node="source" not in entry,
        )


def _from_all_sources(entry: Mapping[str, Any], key: str) -> list[str]:
    """Return the names in Meta's specification, and those that other sources add."""
    return [*entry.get(key, ()), *_flat(entry.get(f"more_{key}", {}))]


def _edge(text: str, entry: Mapping[str, Any]) -> Readable:
    """Parse an edge such as `assigned_users(business*): AssignedUser`.

    Raises `ValueError` for another format.
    """
    match = _EDGE.fullmatch(text)
    if match is None:
        raise ValueError(f"not an edge: {text}")
    name, listed, rows = match.groups()
    parameters, required = _parameters((listed or "").split(", ") if listed else ())
    added = _fields(_flat(entry.get("row_fields", {}).get(name, {})))
    return Readable(name, rows, parameters, required, added)


def _parameters(listed: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return all names, and the required ones, which have a star."""
    names = list(listed)
    required = frozenset(name.rstrip("*") for name in names if name.endswith("*"))
    return frozenset(name.rstrip("*") for name in names), required


def _fields(listed: Iterable[str]) -> dict[str, str]:
    """Parse fields such as `primary_page: Page` into names with the type of the value."""
    pairs = (text.partition(": ") for text in listed)
    return {name: inside for name, _, inside in pairs}


def _flat(by_source: Mapping[str, list[str]]) -> list[str]:
    return [name for names in by_source.values() for name in names]


PUBLISHED: dict[str, Any] = json.loads(
    files("graph_simulator.published").joinpath("published.json").read_text(encoding="utf-8")
)
TYPES = {one.itself.name: one for one in _read_types(PUBLISHED)}
PATHS = {name: tuple(TYPES[one] for one in path["of"]) for name, path in PUBLISHED["paths"].items()}
READ_PARAMETERS = frozenset(_flat(PUBLISHED["reads"]["parameters"]))
EXPANSION_ARGUMENTS = frozenset(_flat(PUBLISHED["reads"]["expansion_arguments"]))
BATCH_PARAMETERS = frozenset(_flat(PUBLISHED["batches"]["parameters"]))
OPERATION_KEYS = frozenset(_flat(PUBLISHED["batches"]["operation_keys"]))
