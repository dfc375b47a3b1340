"""Two JSON schemas, an older and a newer one: what was taken and is refused now, and what was told
and may be missing now.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]

# Of each bound whether a greater one takes more.
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
    """The documents of both: where references lead to."""

    old: Json
    new: Json
    _under_way: set[tuple[str, int, int]] = field(default_factory=set)

    def narrowed(self, old: Json, new: Json, where: str) -> Iterator[str]:
        """What a request may not send any more, or has to send in addition."""
        yield from self._compared("request", old, new, where, self._narrowed)

    def weakened(self, old: Json, new: Json, where: str) -> Iterator[str]:
        """What an answer may not say any more, or may say where nothing else was to come."""
        yield from self._compared("answer", old, new, where, self._weakened)

    def _compared(
        self,
        way: str,
        old: Json,
        new: Json,
        where: str,
        compare: Callable[[Json, Json, str], Iterator[str]],
    ) -> Iterator[str]:
        old, new = followed(self.old, old), followed(self.new, new)
        pair = (way, id(old), id(new))
        if pair in self._under_way:  # a schema may hold itself
            return
        self._under_way.add(pair)
        try:
            yield from compare(_plain(self.old, old), _plain(self.new, new), where)
        finally:
            self._under_way.discard(pair)

    def _narrowed(self, old: Json, new: Json, where: str) -> Iterator[str]:
        for one in _alternatives(old) or ([old] if _alternatives(new) else []):
            if all(list(self.narrowed(one, other, "")) for other in _alternatives(new) or [new]):
                yield f"{where}: {_name(one)} is not taken any more"
        yield from _tighter(old, new, where)
        if (
            new.get("additionalProperties") is False
            and old.get("additionalProperties") is not False
        ):
            yield f"{where}: members that it does not name are refused now"
        if any(new.get(keyword) not in (None, old.get(keyword)) for keyword in _CONDITIONS):
            yield f"{where}: what has to come together is another"
        for name in sorted(set(new.get("required", [])) - set(old.get("required", []))):
            yield f"{where}/{name} is required now"
        yield from self._members(old, new, where, self.narrowed)

    def _weakened(self, old: Json, new: Json, where: str) -> Iterator[str]:
        for one in _alternatives(new) or ([new] if _alternatives(old) else []):
            if all(list(self.weakened(other, one, "")) for other in _alternatives(old) or [old]):
                yield f"{where}: it may be {_name(one)} now"
        if added := _left_out(new, old):
            yield f"{where}: it may be {_listed(added)} now"
        if "enum" in old:
            if "enum" not in new:
                yield f"{where}: the list of values is closed no more"
            elif added := _values(new, "enum") - _values(old, "enum"):
                yield f"{where}: {_listed(added)} is new in a closed list"
        if gone := _values(old, _OPEN) - _values(new, "enum", _OPEN):
            yield f"{where}: {_listed(gone)} is not told any more"
        if "format" in old and new.get("format") != old["format"]:
            yield f"{where}: format is another"
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


def followed(document: Json, node: Json) -> Json:
    """What a reference leads to."""
    while "$ref" in node:
        target: Any = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def _plain(document: Json, schema: Json) -> Json:
    """`X or null` as X with one type more; anything else as it is."""
    kinds = schema.get("anyOf", [])
    others = [kind for kind in kinds if kind.get("type") != "null"]
    if len(others) != 1:
        return schema
    kind = _plain(document, followed(document, others[0]))
    types = _types(kind) | ({"null"} if len(kinds) > 1 else set())
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**kind, **rest, "type": sorted(types)}


def _alternatives(schema: Json) -> list[Json]:
    return [*schema.get("anyOf", []), *schema.get("oneOf", [])]


def _types(schema: Json) -> set[str]:
    told = schema.get("type", [])
    return {told} if isinstance(told, str) else set(told)


def _left_out(wide: Json, narrow: Json) -> set[str]:
    """The types of the one that the other has not; alternatives are compared one by one."""
    if "type" not in narrow or _alternatives(wide):
        return set()
    return (_types(wide) or {"anything"}) - _types(narrow)


def _values(schema: Json, *keywords: str) -> set[str]:
    return {str(value) for keyword in keywords for value in schema.get(keyword, [])}


def _tighter(old: Json, new: Json, where: str) -> Iterator[str]:
    """Types, values, bounds and patterns that take less than they did."""
    if gone := _left_out(old, new):
        yield f"{where}: {_listed(gone)} is not taken any more"
    known = _values(old, "enum", _OPEN)
    if "enum" in new and not known:
        yield f"{where}: only some values are taken now"
    elif "enum" in new and (gone := known - _values(new, "enum")):
        yield f"{where}: {_listed(gone)} is not taken any more"
    for keyword, greater_is_wider in _BOUNDS.items():
        if _is_tighter(old.get(keyword), new.get(keyword), greater_is_wider=greater_is_wider):
            yield f"{where}: {keyword} is tighter"
    for keyword in ("pattern", "format"):
        if keyword in new and new[keyword] != old.get(keyword):
            yield f"{where}: {keyword} is another"


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
