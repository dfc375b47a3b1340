"""What of a read lies outside of what Meta publishes.

The simulator holds every call against this, and so can a test that plays Meta from a list:

    >>> from graph_simulator import published
    >>> published.complaints("GET", "/v26.0/act_1/assigned_users", {"fields": "id,nme"})
    ['assigned_users lacks business', 'AssignedUser has no field nme']

A complaint names types, edges, fields and parameters, and never an id, a token or a value.
What is published stands in `published.json`, with its sources.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from graph_simulator.graph.addresses import split_version
from graph_simulator.graph.errors import GraphError
from graph_simulator.graph.grammar import Selection, parse_fields
from graph_simulator.published.types import (
    BATCH_PARAMETERS,
    EXPANSION_ARGUMENTS,
    OPERATION_KEYS,
    PATHS,
    READ_PARAMETERS,
    TYPES,
    PublishedType,
    Readable,
)

_NODE_AND_EDGE = 2
_NAME = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)
_DIGITS_IN_A_NAME = 3


def outside(node: str | None, edge: str | None, params: Mapping[str, str]) -> list[str]:
    """Everything about one read that Meta does not publish, as short sentences.

    `node` is a node type, or `me`, `app` or `debug_token`; None when nobody knows the type, and
    then it is enough that some type has that edge with these fields. `edge` is None for the
    node itself. Raises `KeyError` for a type that is not in the book.
    """
    given = frozenset(name for name, value in params.items() if value)
    return list(_outside(node, edge, frozenset(params), given, params.get("fields", "")))


def complaints(
    method: str, path: str, params: Mapping[str, Any] | None = None, *, node: str | None = None
) -> list[str]:
    """The same of a raw request: of a read, or of a batch with all of its operations.

    `path` may have a version, and a query, which counts as parameters. A batch is a POST with a
    parameter `batch`, as JSON text or as a list. `node` is the node type, when it is known.
    """
    plain_path, _, query = path.partition("?")
    given = {**dict(parse_qsl(query, keep_blank_values=True)), **(params or {})}
    if method.upper() == "POST" and "batch" in given:
        return _once([*outside_batch(given), *_of_operations(given["batch"])])
    if method.upper() != "GET":
        return [f"{shown(method.upper())} is not a read"]
    _, parts = split_version(plain_path)
    if not parts:
        return ["a read names a node"]
    if len(parts) > _NODE_AND_EDGE:
        return ["a path is a node and at most one edge"]
    read = {name: str(value) for name, value in given.items()}
    return outside(node or _node_of(parts[0]), parts[1] if parts[1:] else None, read)


def outside_batch(params: Mapping[str, Any]) -> list[str]:
    """What Meta does not publish of a batch as such: its parameters and its operations' keys."""
    found = [f"a batch takes no parameter {shown(n)}" for n in params if n not in BATCH_PARAMETERS]
    operations = _operations(params.get("batch"))
    if operations is None:
        return [*found, "a batch is a list of operations"]
    keys = (key for operation in operations for key in operation)
    found += [f"an operation has no key {shown(key)}" for key in keys if key not in OPERATION_KEYS]
    return _once(found)


def shown(name: str) -> str:
    """A name as it was asked for, unless it might be an id or a secret."""
    digits = sum(character.isdigit() for character in name)
    return name if _NAME.fullmatch(name) and digits <= _DIGITS_IN_A_NAME else "(not a name)"


# Requests


def _of_operations(batch: Any) -> Iterator[str]:
    for operation in _operations(batch) or ():
        address = "/" + str(operation.get("relative_url", "")).lstrip("/")
        body = dict(parse_qsl(str(operation.get("body", "")), keep_blank_values=True))
        yield from complaints(str(operation.get("method", "GET")), address, body)


def _operations(batch: Any) -> list[dict[str, Any]] | None:
    """None when this is no list of objects."""
    try:
        found = json.loads(batch) if isinstance(batch, str) else batch
    except ValueError:
        return None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        return None
    return found


def _node_of(name: str) -> str | None:
    """What the first part of a path tells of its type to somebody who does not know the ids."""
    if name in PATHS:
        return name
    return "AdAccount" if name.startswith("act_") else None


# Reads


@lru_cache(maxsize=4096)
def _outside(
    node: str | None,
    edge: str | None,
    names: frozenset[str],
    given: frozenset[str],
    fields: str,
) -> tuple[str, ...]:
    try:
        selections = parse_fields(fields) if fields.strip() else ()
    except GraphError:
        return ("fields cannot be read",)
    readables = _readables(node, edge)
    if not readables and node is None:
        return (f"no node has an edge {shown(edge or '')}",)
    if not readables:
        return (f"{node} has no edge {shown(edge or '')}",)
    found = [_once(_about(one, names, given, selections, READ_PARAMETERS)) for one in readables]
    mildest = min(found, key=len)
    return tuple(mildest)


def _readables(node: str | None, edge: str | None) -> list[Readable]:
    """What the read may be of, when its type is not known for sure."""
    types = _types(node)
    if edge is None:
        return [one.itself for one in types]
    return [one.edges[edge] for one in types if edge in one.edges]


def _types(node: str | None) -> Sequence[PublishedType]:
    if node is None:
        return [one for one in TYPES.values() if one.is_node]
    return PATHS.get(node) or (TYPES[node],)


def _about(
    readable: Readable,
    names: Iterable[str],
    given: Iterable[str],
    selections: Sequence[Selection],
    always: frozenset[str],
) -> list[str]:
    """One read, or one edge that is expanded in another: its parameters, then its fields."""
    if not readable.rows:
        return []
    lacking = sorted(readable.required.difference(given))
    unknown = sorted(set(names) - always - readable.parameters)
    return [
        *(f"{readable.name} lacks {name}" for name in lacking),
        *(f"{readable.name} takes no parameter {shown(name)}" for name in unknown),
        *_about_fields(selections, readable),
    ]


def _about_fields(selections: Sequence[Selection], readable: Readable) -> Iterator[str]:
    published = TYPES.get(readable.rows)
    if published is None:  # a type that the book only names
        return
    fields = {**published.fields, **readable.row_fields}
    for selection in selections:
        name = selection.name
        if name in fields:
            yield from _about_field(selection, readable.rows, fields[name])
        elif name in published.edges:
            yield from _about_expansion(selection, published.edges[name])
        else:
            yield f"{readable.rows} has no field {shown(name)}"


def _about_field(selection: Selection, owner: str, inside: str) -> Iterator[str]:
    for argument in sorted(selection.arguments):
        yield f"{selection.name} takes no parameter {shown(argument)}"
    if selection.inside and not inside:
        yield f"{selection.name} of {owner} has nothing inside"
    yield from _about_fields(selection.inside or (), Readable(selection.name, inside))


def _about_expansion(selection: Selection, edge: Readable) -> list[str]:
    arguments = selection.arguments
    given = [name for name, value in arguments.items() if value]
    return _about(edge, arguments, given, selection.inside or (), EXPANSION_ARGUMENTS)


def _once(found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(found))
