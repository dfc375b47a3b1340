"""Comparison of reads with what Meta publishes: types, edges, fields and parameters.

The simulator checks every call with it. A test with its own fake of Meta can use it too:

    >>> from graph_simulator import published
    >>> published.complaints("GET", "/v26.0/act_1/assigned_users", {"fields": "id,nme"})
    ['assigned_users lacks business', 'AssignedUser has no field nme']

A complaint contains names of types, edges, fields and parameters, never an id, a token or a
value. `published.json` lists what Meta publishes, with the sources.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from graph_simulator.graph.errors import GraphError
from graph_simulator.graph.grammar import Selection, parse_fields
from graph_simulator.graph.path_parts import split_version
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
_MAX_DIGITS_IN_NAME = 3


def outside(node: str | None, edge: str | None, params: Mapping[str, str]) -> list[str]:
    """Return one short complaint for each thing in this read that Meta does not publish.

    `node` is a node type, or `me`, `app` or `debug_token`. If the type is unknown (None), the read
    is compared with the type that fits best. `edge` is None for the node itself. Raises
    `KeyError` for a type that is not in `published.json`.
    """
    given = frozenset(name for name, value in params.items() if value)
    return list(_outside(node, edge, frozenset(params), given, params.get("fields", "")))


def complaints(
    method: str, path: str, params: Mapping[str, Any] | None = None, *, node: str | None = None
) -> list[str]:
    """Return the complaints about a request: a read, or a batch with all of its operations.

    `path` may have a version, and a query, which counts as parameters. A batch is a POST with a
    parameter `batch`, as JSON text or as a list. `node` is the node type, if it is known.
    """
    plain_path, _, query = path.partition("?")
    given = {**dict(parse_qsl(query, keep_blank_values=True)), **(params or {})}
    if method.upper() == "POST" and "batch" in given:
        return _unique([*outside_batch(given), *_of_operations(given["batch"])])
    if method.upper() != "GET":
        return [f"{safe_name(method.upper())} is not a read"]
    _, parts = split_version(plain_path)
    if not parts:
        return ["a read names a node"]
    if len(parts) > _NODE_AND_EDGE:
        return ["a path is a node and at most one edge"]
    read = {name: str(value) for name, value in given.items()}
    return outside(node or _node_of(parts[0]), parts[1] if parts[1:] else None, read)


def outside_batch(params: Mapping[str, Any]) -> list[str]:
    """Return the complaints about a batch's own parameters and the keys of its operations."""
    found = [
        f"a batch takes no parameter {safe_name(n)}" for n in params if n not in BATCH_PARAMETERS
    ]
    operations = _operations(params.get("batch"))
    if operations is None:
        return [*found, "a batch is a list of operations"]
    keys = (key for operation in operations for key in operation)
    found += [
        f"an operation has no key {safe_name(key)}" for key in keys if key not in OPERATION_KEYS
    ]
    return _unique(found)


def safe_name(name: str) -> str:
    """Return a name from a request, or a placeholder if it may be an id or a secret."""
    digits = sum(character.isdigit() for character in name)
    return name if _NAME.fullmatch(name) and digits <= _MAX_DIGITS_IN_NAME else "(not a name)"


# Requests


def _of_operations(batch: Any) -> Iterator[str]:
    for operation in _operations(batch) or ():
        address = "/" + str(operation.get("relative_url", "")).lstrip("/")
        body = dict(parse_qsl(str(operation.get("body", "")), keep_blank_values=True))
        yield from complaints(str(operation.get("method", "GET")), address, body)


def _operations(batch: Any) -> list[dict[str, Any]] | None:
    """Parse the operations of a batch. None if it is not a list of objects."""
    try:
        found = json.loads(batch) if isinstance(batch, str) else batch
    except ValueError:
        return None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        return None
    return found


def _node_of(name: str) -> str | None:
    """Return the type that the first part of a path shows by itself, or None."""
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
        return (f"no node has an edge {safe_name(edge or '')}",)
    if not readables:
        return (f"{node} has no edge {safe_name(edge or '')}",)
    found = [
        _unique(_read_complaints(one, names, given, selections, READ_PARAMETERS))
        for one in readables
    ]
    fewest = min(found, key=len)
    return tuple(fewest)


def _readables(node: str | None, edge: str | None) -> list[Readable]:
    """Return the kinds of read that this may be; several if the type is unknown."""
    types = _types(node)
    if edge is None:
        return [one.itself for one in types]
    return [one.edges[edge] for one in types if edge in one.edges]


def _types(node: str | None) -> Sequence[PublishedType]:
    if node is None:
        return [one for one in TYPES.values() if one.is_node]
    return PATHS.get(node) or (TYPES[node],)


def _read_complaints(
    readable: Readable,
    names: Iterable[str],
    given: Iterable[str],
    selections: Sequence[Selection],
    always: frozenset[str],
) -> list[str]:
    """Return complaints about the parameters, then the fields, of a read or an expanded edge."""
    if not readable.rows:
        return []
    lacking = sorted(readable.required.difference(given))
    unknown = sorted(set(names) - always - readable.parameters)
    return [
        *(f"{readable.name} lacks {name}" for name in lacking),
        *(f"{readable.name} takes no parameter {safe_name(name)}" for name in unknown),
        *_selection_complaints(selections, readable),
    ]


def _selection_complaints(selections: Sequence[Selection], readable: Readable) -> Iterator[str]:
    published = TYPES.get(readable.rows)
    if published is None:  # a type that is only named in published.json
        return
    fields = {**published.fields, **readable.row_fields}
    for selection in selections:
        name = selection.name
        if name in fields:
            yield from _field_complaints(selection, readable.rows, fields[name])
        elif name in published.edges:
            yield from _expansion_complaints(selection, published.edges[name])
        else:
            yield f"{readable.rows} has no field {safe_name(name)}"


def _field_complaints(selection: Selection, owner: str, inside: str) -> Iterator[str]:
    for argument in sorted(selection.arguments):
        yield f"{selection.name} takes no parameter {safe_name(argument)}"
    if selection.inside and not inside:
        yield f"{selection.name} of {owner} has nothing inside"
    yield from _selection_complaints(selection.inside or (), Readable(selection.name, inside))


def _expansion_complaints(selection: Selection, edge: Readable) -> list[str]:
    arguments = selection.arguments
    given = [name for name, value in arguments.items() if value]
    return _read_complaints(edge, arguments, given, selection.inside or (), EXPANSION_ARGUMENTS)


def _unique(found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(found))
