"""Every operation of the OpenAPI document, and functions that call it."""

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
    """An operation. `ids` maps each path parameter to the prefix of the ids it takes.

    A secured operation needs an API key with all of `scopes`; if `needs_code` is true, it needs
    the code of a token request instead of the key.
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
        """The method and the path, for example `GET /v1/partners`."""
        return f"{self.method} {self.path}"

    def url(self, ids: Mapping[str, str]) -> str:
        """Return the path with an id for every parameter; `ids` maps prefixes to ids."""
        return self.path.format(**{name: ids[prefix] for name, prefix in self.ids.items()})


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """Resolve the outermost references of a schema and remove its null variant."""
    if "$ref" in schema:
        found: dict[str, Any] = DOCUMENT["components"]["schemas"][schema["$ref"].split("/")[-1]]
        return resolve(found)
    kinds = [kind for kind in schema.get("anyOf", []) if kind.get("type") != "null"]
    return resolve(kinds[0]) if kinds else schema


def operations() -> Iterator[Operation]:
    """Yield every documented operation."""
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
    """Return the id prefix of a schema, for example `ptn`; None if it is not one of our ids."""
    match = _ID_PATTERN.match(schema.get("pattern", ""))
    return match[1] if match else None


def body_for(operation: Operation) -> dict[str, Any] | None:
    """Return a body that the operation accepts, so that only the caller can be refused."""
    if operation.body is None:
        return None
    members = operation.body.get("properties", {})
    body: dict[str, Any] = {
        name: example_of(members[name]) for name in operation.body.get("required", [])
    }
    if "access_token" in members:
        body["access_token"] = TOKEN
    if "scopes" in members:
        # A key can grant only its own scopes; the caller's key has those of this operation.
        body["scopes"] = list(operation.scopes)
    return body


def example_of(schema: dict[str, Any]) -> Any:
    """Return a valid value of a schema, from the document's own examples."""
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
    """Return the headers that replace the client's API key; empty if the key is used."""
    return {"Authorization": f"Bearer {ids['trc']}"} if operation.needs_code else {}


async def call(
    client: httpx.AsyncClient,
    operation: Operation,
    ids: Mapping[str, str],
    *,
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Call an operation with a valid body and the credential it needs."""
    return await client.request(
        operation.method,
        operation.url(ids),
        json=body_for(operation),
        headers={**credential(operation, ids), **(headers or {})},
    )


OPERATIONS = tuple(operations())
ID_PREFIXES = frozenset(prefix for operation in OPERATIONS for prefix in operation.ids.values())
