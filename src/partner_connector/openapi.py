"""The OpenAPI document: what FastAPI generates, completed with what every operation shares."""

import copy
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from partner_connector import __version__
from partner_connector.api import TAGS
from partner_connector.error_handlers import MEDIA_TYPE, ProblemDocument

DESCRIPTION = """
See which people at your Meta business partners can touch the assets you share with them.

Times are RFC 3339 in UTC, ids are opaque strings with a prefix, and every failure is an
`application/problem+json` whose `code` is stable. A token is sealed on arrival and no operation
returns one.
"""

_METHODS = ("get", "post", "put", "patch", "delete")
_PROBLEMS: dict[int, str] = {
    400: "The body is not JSON.",
    401: "No valid API key, or no valid code.",
    403: "The key lacks the scope.",
    404: "No such thing in this workspace.",
    406: "`Accept` names no form in which the answer comes.",
    409: "The present state forbids it.",
    410: "It has ended.",
    412: "The resource is not what the precondition says.",
    413: "The body is larger than 64 KiB.",
    415: "The body is not sent as JSON.",
    422: "Something in the request is not valid.",
    429: "The key, the code or the address spent its allowance.",
    500: "Our fault.",
    503: "Busy; retry after a moment.",
}
_HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {
        "description": "The request's id, in logs and problems too.",
        "schema": {"type": "string", "maxLength": 64},
    },
    "ETag": {
        "description": "The tag of this very representation (RFC 9110): strong, opaque.",
        "schema": {"type": "string", "maxLength": 80, "pattern": r'^"[\x21\x23-\x7e]+"$'},
    },
    "Idempotent-Replayed": {
        "description": "`true` where this was answered before to the same `Idempotency-Key`.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Location": {
        "description": "Where the new or pending resource is.",
        "schema": {"type": "string", "format": "uri-reference", "maxLength": 200},
    },
    "RateLimit": {
        "description": "What remains of the allowance (draft-ietf-httpapi-ratelimit-headers).",
        "schema": {"type": "string", "maxLength": 200},
    },
    "RateLimit-Policy": {
        "description": "The allowance of this key.",
        "schema": {"type": "string", "maxLength": 200},
    },
    "Retry-After": {
        "description": "Seconds to wait.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 86400},
    },
}


def build_document(app: FastAPI) -> dict[str, Any]:
    """Generate and complete the document."""
    document = get_openapi(
        title="Partner Connector",
        version=__version__,
        openapi_version="3.1.0",
        summary="Sight of the people behind Meta business partners.",
        description=DESCRIPTION.strip(),
        routes=app.routes,
        webhooks=app.webhooks.routes,
        tags=TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[{"url": "/", "description": "This deployment."}],
        separate_input_output_schemas=False,
    )
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError", "Scope", "EventType"):
        schemas.pop(unused, None)
    _add_problem_schemas(schemas)
    document["components"]["headers"] = _HEADERS
    document["components"]["responses"] = _problem_responses() | {"NotModified": _not_modified()}
    _give_integers_a_format(document)
    tagged = _tagged_schemas(document)
    for path in document["paths"].values():
        for method in _METHODS:
            if method in path:
                _complete(path[method])
                _add_conditions(method, path[method], tagged)
    for item in document["webhooks"].values():
        # It is a customer's server that answers them.
        item["post"]["responses"].pop("422", None)
    return document


def _add_problem_schemas(schemas: dict[str, Any]) -> None:
    problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem


def _problem_responses() -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    answers: dict[str, Any] = {}
    for status, description in _PROBLEMS.items():
        headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
        if status in {429, 503}:
            headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
        answers[f"Problem{status}"] = {
            "description": description,
            "headers": headers,
            "content": copy.deepcopy(content),
        }
    return answers


def _give_integers_a_format(node: Any) -> None:
    """All of ours fit into 32 bits; generated clients in typed languages want to know."""
    if isinstance(node, dict):
        if node.get("type") == "integer":
            node.setdefault("format", "int32")
        for child in node.values():
            _give_integers_a_format(child)
    elif isinstance(node, list):
        for child in node:
            _give_integers_a_format(child)


def _complete(operation: dict[str, Any]) -> None:
    secured = bool(operation.get("security"))
    scopes = [name for need in operation.get("security", []) for name in need.get("apiKey", ())]
    if scopes:
        operation["description"] += f"\n\nNeeds the scope `{scopes[0]}`."
    responses = operation["responses"]
    responses.pop("422", None)
    with_code = any("tokenRequestCode" in need for need in operation.get("security", []))
    for status in _statuses(operation, secured=secured, scoped=bool(scopes), with_code=with_code):
        reference = {"$ref": f"#/components/responses/Problem{status}"}
        responses.setdefault(str(status), reference)
    for status, answer in responses.items():
        if status.startswith("2"):
            names = ["X-Request-Id"] + (["RateLimit", "RateLimit-Policy"] if secured else [])
            names += {"201": ["Location"], "202": ["Location", "Retry-After"]}.get(status, [])
            headers = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
            answer.setdefault("headers", {}).update(headers)
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _without_null(parameter["schema"])
    for content in operation.get("requestBody", {}).get("content", {}).values():
        content["schema"] = _without_null(content["schema"])
    if not secured:
        operation["security"] = []


def _tagged_schemas(document: dict[str, Any]) -> list[str]:
    """What can be read conditionally: wherever that is answered as the present state of things, it
    has its tag.
    """
    reads = [path["get"] for path in document["paths"].values() if "get" in path]
    return [_answered(each, "200") for each in reads if _takes(each, "If-None-Match")]


def _add_conditions(method: str, operation: dict[str, Any], tagged: list[str]) -> None:
    """`304`, and the headers that go with what the operation takes."""
    responses = operation["responses"]
    reference = {"$ref": "#/components/headers/ETag"}
    if method == "get" and _takes(operation, "If-None-Match"):
        responses["304"] = {"$ref": "#/components/responses/NotModified"}
    for status in ("200", "201"):
        if "202" not in responses and _answered(operation, status) in tagged:
            responses[status]["headers"]["ETag"] = reference
    if _takes(operation, "Idempotency-Key"):
        for status, answer in responses.items():
            if status.startswith("2"):
                name = "Idempotent-Replayed"
                answer["headers"][name] = {"$ref": f"#/components/headers/{name}"}


def _takes(operation: dict[str, Any], header: str) -> bool:
    return any(each["name"] == header for each in operation.get("parameters", []))


def _answered(operation: dict[str, Any], status: str) -> str:
    """The reference to the schema of an answer; empty where there is none."""
    content = operation["responses"].get(status, {}).get("content", {})
    return str(content.get("application/json", {}).get("schema", {}).get("$ref", ""))


def _not_modified() -> dict[str, Any]:
    names = ("ETag", "X-Request-Id", "RateLimit", "RateLimit-Policy")
    return {
        "description": "It is what `If-None-Match` names. Without a body.",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
    }


def _statuses(
    operation: dict[str, Any], *, secured: bool, scoped: bool, with_code: bool
) -> list[int]:
    statuses = [500, 503]
    if secured:
        statuses += [401, 429]
    if scoped:
        statuses.append(403)
    if with_code:
        statuses.append(410)
    if "requestBody" in operation:
        statuses += [400, 413, 415]
    if "requestBody" in operation or operation.get("parameters"):
        statuses.append(422)
    if any(parameter["in"] == "path" for parameter in operation.get("parameters", [])):
        statuses.append(404)
    if ("requestBody" in operation and secured) or _takes(operation, "Idempotency-Key"):
        statuses.append(409)
    if _takes(operation, "If-Match"):
        statuses.append(412)
    if len(operation["responses"].get("200", {}).get("content", ())) > 1:
        statuses.append(406)
    return sorted(statuses)


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query or header parameter can be absent, but not null: clients would send the word."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind.get("type") != "null"]
    if len(kinds) == 1:
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        return {**kinds[0], **rest}
    return schema
