"""Comparison of two JSON schemas: requests that are refused now, and answers that have changed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]

# Each bound, and whether a greater value accepts more.
_BOUNDS = {
    "maxLength": True,
    "maximum": True,
    "maxItems": True,
    "minLength": False,
    "minimum": False,
    "minItems": False,
}
_OPEN = "x-extensible-enum"
_CONDITIONS = ("if", "then", "else")


@dataclass(frozen=True, slots=True)
class Documents:
    """Older and newer document, in which references are resolved."""

    old: Json
    new: Json
    _in_progress: set[tuple[str, int, int]] = field(default_factory=set)

    def narrowed(self, old: Json, new: Json, where: str) -> Iterator[str]:
        """Yield what a request may no longer send, or must send in addition."""
        yield from self._compared("request", old, new, where, self._narrowed)

    def weakened(self, old: Json, new: Json, where: str) -> Iterator[str]:
        """Yield what an answer may no longer have, or may have beyond a closed list."""
        yield from self._compared("answer", old, new, where, self._weakened)

    def _compared(
        self,
        direction: str,
        old: Json,
        new: Json,
        where: str,
        compare: Callable[[Json, Json, str], Iterator[str]],
    ) -> Iterator[str]:
        old, new = resolved(self.old, old), resolved(self.new, new)
        pair = (direction, id(old), id(new))
        if pair in self._in_progress:  # a schema may contain itself
            return
        self._in_progress.add(pair)
        try:
            yield from compare(
                _without_null_branch(self.old, old), _without_null_branch(self.new, new), where
            )
        finally:
            self._in_progress.discard(pair)

    def _narrowed(self, old: Json, new: Json, where: str) -> Iterator[str]:
        for one in _alternatives(old) or ([old] if _alternatives(new) else []):
            if all(list(self.narrowed(one, other, "")) for other in _alternatives(new) or [new]):
                yield f"{where}: {_name(one)} is no longer accepted"
        yield from _tighter(old, new, where)
        if (
            new.get("additionalProperties") is False
            and old.get("additionalProperties") is not False
        ):
            yield f"{where}: unknown members are refused now"
        if any(new.get(keyword) not in (None, old.get(keyword)) for keyword in _CONDITIONS):
            yield f"{where}: its condition has changed"
        for name in sorted(set(new.get("required", [])) - set(old.get("required", []))):
            yield f"{where}/{name} is required now"
        yield from self._members(old, new, where, self.narrowed)

    def _weakened(self, old: Json, new: Json, where: str) -> Iterator[str]:
        for one in _alternatives(new) or ([new] if _alternatives(old) else []):
            if all(list(self.weakened(other, one, "")) for other in _alternatives(old) or [old]):
                yield f"{where}: it may be {_name(one)} now"
        if added := _types_not_in(new, old):
            yield f"{where}: it may be {_listed(added)} now"
        if "enum" in old:
            if "enum" not in new:
                yield f"{where}: the list of values is no longer closed"
            elif added := _values(new, "enum") - _values(old, "enum"):
                yield f"{where}: {_listed(added)} is new in a closed list"
        if gone := _values(old, _OPEN) - _values(new, "enum", _OPEN):
            yield f"{where}: {_listed(gone)} is no longer returned"
        if "format" in old and new.get("format") != old["format"]:
            yield f"{where}: format has changed"
        for name in sorted(set(old.get("required", [])) - set(new.get("required", []))):
            yield f"{where}/{name} may be missing now"
        yield from self._members(old, new, where, self.weakened)

    def _members(
        self,
        old: Json,
        new: Json,
        where: str,
        compare: Callable[[Json, Json, str], Iterator[str]],
    ) -> Iterator[str]:
        for name, member in old.get("properties", {}).items():
            if name not in new.get("properties", {}):
                yield f"{where}/{name} is gone"
            else:
                yield from compare(member, new["properties"][name], f"{where}/{name}")
        if "items" in old and "items" in new:
            yield from compare(old["items"], new["items"], f"{where}/[]")


def resolved(document: Json, node: Json) -> Json:
    """Return the node, with its reference resolved."""
    while "$ref" in node:
        target: Any = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def _without_null_branch(document: Json, schema: Json) -> Json:
    """Convert `X or null` to X with the type null added. Return any other schema unchanged."""
    kinds = schema.get("anyOf", [])
    others = [kind for kind in kinds if kind.get("type") != "null"]
    if len(others) != 1:
        return schema
    kind = _without_null_branch(document, resolved(document, others[0]))
    types = _types(kind) | ({"null"} if len(kinds) > 1 else set())
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**kind, **rest, "type": sorted(types)}


def _alternatives(schema: Json) -> list[Json]:
    return [*schema.get("anyOf", []), *schema.get("oneOf", [])]


def _types(schema: Json) -> set[str]:
    types = schema.get("type", [])
    return {types} if isinstance(types, str) else set(types)


def _types_not_in(wide: Json, narrow: Json) -> set[str]:
    """Return the types in `wide` and not in `narrow`. Alternatives are compared elsewhere."""
    if "type" not in narrow or _alternatives(wide):
        return set()
    return (_types(wide) or {"anything"}) - _types(narrow)


def _values(schema: Json, *keywords: str) -> set[str]:
    return {str(value) for keyword in keywords for value in schema.get(keyword, [])}


def _tighter(old: Json, new: Json, where: str) -> Iterator[str]:
    """Yield the types, values, bounds and patterns that accept less than before."""
    if gone := _types_not_in(old, new):
        yield f"{where}: {_listed(gone)} is no longer accepted"
    known = _values(old, "enum", _OPEN)
    if "enum" in new and not known:
        yield f"{where}: only some values are accepted now"
    elif "enum" in new and (gone := known - _values(new, "enum")):
        yield f"{where}: {_listed(gone)} is no longer accepted"
    for keyword, greater_is_wider in _BOUNDS.items():
        if _is_tighter(old.get(keyword), new.get(keyword), greater_is_wider=greater_is_wider):
            yield f"{where}: {keyword} is tighter"
    for keyword in ("pattern", "format"):
        if keyword in new and new[keyword] != old.get(keyword):
            yield f"{where}: {keyword} has changed"


def _is_tighter(old: float | None, new: float | None, *, greater_is_wider: bool) -> bool:
    if new is None or old is None:
        return new is not None
    return new < old if greater_is_wider else new > old


def _name(schema: Json) -> str:
    return str(schema.get("$ref", schema.get("title", schema.get("type", "one form")))).split("/")[
        -1
    ]


def _listed(values: set[str]) -> str:
    return ", ".join(sorted(values))
