"""Parser of `fields=`: names, nested selections and arguments.

Facts: `docs/reference/graph-facts.md#field-expansion`.
"""

from dataclasses import dataclass, field
from functools import lru_cache

from graph_simulator.graph import errors

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


@dataclass(frozen=True, slots=True)
class Selection:
    """Selected field: `edge.limit(10).business(1){id,name}` has arguments and fields inside."""

    name: str
    arguments: dict[str, str] = field(default_factory=dict, hash=False)
    inside: tuple["Selection", ...] | None = None


@lru_cache(maxsize=1024)
def parse_fields(text: str) -> tuple[Selection, ...]:
    """Parse comma-separated fields, or the JSON list that Meta's SDKs send.

    Raises `GraphError` 2500 for a syntax error.
    """
    if text.startswith("["):
        text = text.strip("[]").replace('"', "")
    reader = _Reader(text)
    selections = reader.selections()
    reader.expect_end()
    return selections


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def selections(self) -> tuple[Selection, ...]:
        found = [self._selection()]
        while self._take(","):
            found.append(self._selection())
        return tuple(found)

    def expect_end(self) -> None:
        self._skip_spaces()
        if self._at < len(self._text):
            message = f"Expected end of string instead of {self._text[self._at]}."
            raise errors.syntax_error(message, self._at)

    def _selection(self) -> Selection:
        name = self._name()
        arguments: dict[str, str] = {}
        while self._take("."):
            argument = self._name()
            arguments[argument] = self._argument_value()
        inside = None
        if self._take("{"):
            inside = self.selections()
            self._need("}")
        return Selection(name, arguments, inside)

    def _name(self) -> str:
        self._skip_spaces()
        start = self._at
        while self._at < len(self._text) and self._text[self._at] in _NAME:
            self._at += 1
        if start == self._at:
            raise errors.syntax_error("Expected name.", self._at)
        return self._text[start : self._at]

    def _argument_value(self) -> str:
        self._need("(")
        end = self._text.find(")", self._at)
        if end < 0:
            raise errors.syntax_error("Expected ).", len(self._text))
        value = self._text[self._at : end]
        self._at = end + 1
        return value.strip().strip("\"'")

    def _take(self, mark: str) -> bool:
        self._skip_spaces()
        if self._at < len(self._text) and self._text[self._at] == mark:
            self._at += 1
            return True
        return False

    def _need(self, mark: str) -> None:
        if not self._take(mark):
            raise errors.syntax_error(f"Expected {mark}", self._at)

    def _skip_spaces(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
