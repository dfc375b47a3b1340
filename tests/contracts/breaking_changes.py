"""Breaking changes between two OpenAPI documents.

`python -m tests.contracts.breaking_changes OLD NEW` prints each breaking change. It exits with 1
if there is one and the new version number does not allow it.

A request that was valid must stay valid, and an answer must keep every member and value that a
client may read. New operations, optional parameters, members of answers and values of an
`x-extensible-enum` are not breaking changes.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contracts.schema_breaks import Documents, resolved

Json = Mapping[str, Any]
METHODS = ("get", "put", "post", "delete", "patch")


def breaks(old: Json, new: Json) -> list[str]:
    """Return a sentence for each breaking change. The list is empty if there is none."""
    return list(_Comparison(Documents(old, new)).all())


@dataclass(frozen=True, slots=True)
class _Comparison:
    documents: Documents

    def all(self) -> Iterator[str]:
        old, new = self.documents.old, self.documents.new
        for path, method, before in _operations(old["paths"]):
            name = f"{method.upper()} {path}"
            after = new["paths"].get(path, {}).get(method)
            if after is None:
                yield f"{name}: the operation is gone"
            else:
                yield from self._operation(name, before, after)
        for event, method, before in _operations(old.get("webhooks", {})):
            name = f"webhook {event}"
            after = new.get("webhooks", {}).get(event, {}).get(method)
            if after is None:
                yield f"{name}: the event is gone"
            else:
                # The receiver reads the body of a webhook, as a client reads an answer.
                for kind, media in _content(before.get("requestBody", {})).items():
                    sent = _content(after.get("requestBody", {})).get(kind)
                    yield from self._answer_body(name, kind, media, sent)

    def _operation(self, name: str, before: Json, after: Json) -> Iterator[str]:
        if before["operationId"] != after["operationId"]:
            yield f"{name}: its operationId has changed, and with it the method of every SDK"
        if _needs(before) != _needs(after):
            yield f"{name}: it needs another credential or scope"
        yield from self._parameters(name, before, after)
        yield from self._request_body(name, before, after)
        for status, answer in before["responses"].items():
            if status.startswith("2"):
                yield from self._answer(f"{name}: {status}", answer, after["responses"].get(status))

    def _parameters(self, name: str, before: Json, after: Json) -> Iterator[str]:
        known = {(each["in"], each["name"]): each for each in before.get("parameters", [])}
        taken = {(each["in"], each["name"]): each for each in after.get("parameters", [])}
        for place, parameter in known.items():
            where = f"{name}: {place[0]} parameter {place[1]}"
            now = taken.get(place)
            if now is None:
                yield f"{where} is gone"
                continue
            if now.get("required", False) and not parameter.get("required", False):
                yield f"{where} is required now"
            yield from self.documents.narrowed(parameter["schema"], now["schema"], where)
        for place, parameter in taken.items():
            if place not in known and parameter.get("required", False):
                yield f"{name}: {place[0]} parameter {place[1]} is new and required"

    def _request_body(self, name: str, before: Json, after: Json) -> Iterator[str]:
        had, has = before.get("requestBody", {}), after.get("requestBody", {})
        if has.get("required", False) and not had.get("required", False):
            yield f"{name}: a body is required now"
        for kind, media in _content(had).items():
            taken = _content(has).get(kind)
            if taken is None:
                yield f"{name}: a body of {kind} is no longer accepted"
            else:
                where = f"{name}: body"
                yield from self.documents.narrowed(media["schema"], taken["schema"], where)

    def _answer(self, where: str, before: Json, after: Json | None) -> Iterator[str]:
        if after is None:
            yield f"{where}: the answer is gone"
            return
        had, has = (
            resolved(self.documents.old, before),
            resolved(self.documents.new, after),
        )
        for header in sorted(set(had.get("headers", {})) - set(has.get("headers", {}))):
            yield f"{where}: the header {header} is gone"
        for kind, media in _content(had).items():
            yield from self._answer_body(where, kind, media, _content(has).get(kind))

    def _answer_body(
        self, where: str, kind: str, before: Json, after: Json | None
    ) -> Iterator[str]:
        if after is None:
            yield f"{where}: it is no longer returned as {kind}"
        else:
            yield from self.documents.weakened(before["schema"], after["schema"], where)


def _operations(paths: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in paths.items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def _content(body: Json) -> Json:
    content: Json = body.get("content", {})
    return content


def _needs(operation: Json) -> list[str]:
    return sorted(json.dumps(need, sort_keys=True) for need in operation.get("security", []))


def newest(folder: Path) -> Path:
    """Return the path of the last release: `0.10.0.json` is newer than `0.9.0.json`."""
    return max(folder.glob("*.json"), key=lambda path: _version(path.stem))


def main() -> None:
    """Compare a document with an older one, or with the newest one of a folder."""
    given, path = Path(sys.argv[1]), Path(sys.argv[2])
    released = newest(given) if given.is_dir() else given
    old, new = (json.loads(each.read_text(encoding="utf-8")) for each in (released, path))
    found = breaks(old, new)
    for each in found:
        print(each)
    print(f"{len(found)} breaking changes from {released} to {path}")
    if found and not _may_break(old["info"]["version"], new["info"]["version"]):
        sys.exit(1)


def _may_break(old: str, new: str) -> bool:
    """Return whether semantic versioning allows a break: a new major, before 1.0.0 a new minor."""
    before, after = _version(old), _version(new)
    return after[0] > before[0] or (before[0] == after[0] == 0 and after[1] > before[1])


def _version(text: str) -> list[int]:
    return [int(part) for part in text.split(".")]


if __name__ == "__main__":
    main()
