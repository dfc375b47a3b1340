"""The API's surface, read off its OpenAPI document: every operation, and how to call it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from partner_connector.api.app import create_app
from partner_connector.sealing import keyring as keyring_file
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import without_environment

TOKEN = "EAABsbCS1iHgBO0made0up0for0these0tests0only"
DOCUMENT: dict[str, Any] = create_app(
    without_environment(), PublicKeyring(keyring_file.generate())
).openapi()

_METHODS = ("get", "post", "put", "patch", "delete")
_ID_PATTERN = re.compile(r"^\^([a-z]{3})_")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `ids` maps each path parameter to the prefix of the ids it takes.

    One that is secured needs a key with all the scopes, or, where it `needs_code`, the code of a
    token request in place of it.
    """

    method: str
    path: str
    is_secured: bool
    scopes: tuple[str, ...]
    needs_code: bool
    ids: Mapping[str, str]
    parameters: tuple[dict[str, Any], ...]
    body: dict[str, Any] | None

    @property
    def name(self) -> str:
        """As in `GET /v1/partners`."""
        return f"{self.method} {self.path}"

    def url(self, ids: Mapping[str, str]) -> str:
        """The path with an id for every parameter; `ids` maps prefixes to ids."""
        return self.path.format(**{name: ids[prefix] for name, prefix in self.ids.items()})


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without its outermost references and without null."""
    if "$ref" in schema:
        found: dict[str, Any] = DOCUMENT["components"]["schemas"][schema["$ref"].split("/")[-1]]
        return resolve(found)
    kinds = [kind for kind in schema.get("anyOf", []) if kind.get("type") != "null"]
    return resolve(kinds[0]) if kinds else schema


def operations() -> Iterator[Operation]:
    """Every documented operation."""
    for path, item in DOCUMENT["paths"].items():
        for method in _METHODS:
            if method in item:
                yield _operation(path, method, item[method])


def _operation(path: str, method: str, operation: dict[str, Any]) -> Operation:
    parameters = tuple(operation.get("parameters", []))
    schemes = {name for need in operation["security"] for name in need}
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    return Operation(
        method=method.upper(),
        path=path,
        is_secured=bool(schemes),
        scopes=tuple(operation.get("x-required-scopes", ())),
        needs_code="tokenRequestCode" in schemes,
        ids={
            parameter["name"]: id_prefix(parameter["schema"]) or ""
            for parameter in parameters
            if parameter["in"] == "path"
        },
        parameters=parameters,
        body=None if schema is None else resolve(schema),
    )


def id_prefix(schema: dict[str, Any]) -> str | None:
    """`ptn` for a schema of partner ids, None for what is not an id of ours."""
    match = _ID_PATTERN.match(schema.get("pattern", ""))
    return match[1] if match else None


def body_for(operation: Operation) -> dict[str, Any] | None:
    """A body that the operation accepts, so that nothing but the caller can be at fault."""
    if operation.body is None:
        return None
    members = operation.body.get("properties", {})
    body: dict[str, Any] = {
        name: example_of(members[name]) for name in operation.body.get("required", [])
    }
    if "access_token" in members:
        body["access_token"] = TOKEN
    if "scopes" in members:
        # A key grants only what it has, and this operation's own scope it must have.
        body["scopes"] = list(operation.scopes)
    return body


def example_of(schema: dict[str, Any]) -> Any:
    """A valid value, from the document's own examples."""
    if schema.get("examples"):
        return schema["examples"][0]
    schema = resolve(schema)
    if schema.get("examples"):
        return schema["examples"][0]
    if "x-extensible-enum" in schema or "enum" in schema:
        return (schema.get("x-extensible-enum") or schema["enum"])[0]
    if schema.get("type") == "array":
        return [example_of(schema["items"])]
    if schema.get("type") == "object":
        return {n: example_of(schema["properties"][n]) for n in schema.get("required", [])}
    return {"integer": schema.get("minimum", 1), "boolean": True}.get(schema["type"], "example")


def credential(operation: Operation, ids: Mapping[str, str]) -> dict[str, str]:
    """What has to be sent in place of the client's own API key, if anything."""
    return {"Authorization": f"Bearer {ids['trc']}"} if operation.needs_code else {}


async def call(
    client: httpx.AsyncClient,
    operation: Operation,
    ids: Mapping[str, str],
    *,
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Call an operation as its documentation says."""
    return await client.request(
        operation.method,
        operation.url(ids),
        json=body_for(operation),
        headers={**credential(operation, ids), **(headers or {})},
    )


OPERATIONS = tuple(operations())
ID_PREFIXES = frozenset(prefix for operation in OPERATIONS for prefix in operation.ids.values())
