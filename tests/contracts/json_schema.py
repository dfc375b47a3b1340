"""Validator for the part of JSON Schema 2020-12 that the product's document uses."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def violations(
    document: dict[str, Any], schema: dict[str, Any], value: Any, place: str = ""
) -> Iterator[str]:
    """Yield a sentence for each violation of the schema by a value."""
    yield from _combined(document, schema, value, place)
    kind = schema.get("type")
    if kind is not None:
        fits_type = isinstance(value, _TYPES[kind])
        if not fits_type or (isinstance(value, bool) and kind != "boolean"):
            yield f"{place}: is not of type {kind}"
            return
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{place}: is not an allowed value"
    if isinstance(value, str):
        yield from _text(schema, value, place)
    elif isinstance(value, (int, float)):
        if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
            yield f"{place}: is out of bounds"
    elif isinstance(value, list):
        yield from _list(document, schema, value, place)
    elif isinstance(value, dict):
        yield from _object(document, schema, value, place)


def _combined(
    document: dict[str, Any], schema: dict[str, Any], value: Any, place: str
) -> Iterator[str]:
    if "$ref" in schema:
        target: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        yield from violations(document, target, value, place)
    for keyword, most in (("anyOf", None), ("oneOf", 1)):
        if keyword in schema:
            fits = sum(
                not list(violations(document, kind, value, place)) for kind in schema[keyword]
            )
            if fits < 1 or fits > (most or fits):
                yield f"{place}: matches {fits} alternatives of {keyword}"
    if "if" in schema:
        holds = not list(violations(document, schema["if"], value, place))
        yield from violations(document, schema.get("then" if holds else "else", {}), value, place)


def _list(
    document: dict[str, Any], schema: dict[str, Any], value: list[Any], place: str
) -> Iterator[str]:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{place}: has too many or too few items"
    for number, item in enumerate(value):
        yield from violations(document, schema.get("items", {}), item, f"{place}/{number}")


def _text(schema: dict[str, Any], value: str, place: str) -> Iterator[str]:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{place}: is too long or too short"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{place}: does not match its pattern"
    if schema.get("format") == "date-time":
        try:
            aware = datetime.fromisoformat(value).tzinfo is not None and "T" in value
        except ValueError:
            aware = False
        if not aware:
            yield f"{place}: is not an RFC 3339 time"


def _object(
    document: dict[str, Any], schema: dict[str, Any], value: dict[str, Any], place: str
) -> Iterator[str]:
    members = schema.get("properties", {})
    for name in schema.get("required", []):
        if name not in value:
            yield f"{place}/{name}: is missing"
    for name, member in value.items():
        if name in members:
            yield from violations(document, members[name], member, f"{place}/{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{place}/{name}: is unknown"
