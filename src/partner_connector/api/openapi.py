"""The OpenAPI document: what FastAPI generates, completed with what every operation shares."""

import copy
import functools
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi

from partner_connector import __version__
from partner_connector.api.openapi_headers import HEADERS, ON_EVERY_ANSWER, ON_SUCCESS
from partner_connector.api.routes import ROUTERS, TAGS
from partner_connector.features.webhooks.published import describe
from partner_connector.web.error_handlers import MEDIA_TYPE, ProblemDocument

DESCRIPTION = """
See which people at your Meta business partners can touch the assets you share with them.

Times are RFC 3339 in UTC, ids are opaque strings with a prefix, and every failure is an
`application/problem+json` whose `code` is stable. A token is sealed on arrival and no operation
returns one.
"""

NO_NUL = r"^[^\x00]*$"

_METHODS = ("get", "post", "put", "patch", "delete")
_PROBLEMS: dict[int, str] = {
    400: "The body is not JSON.",
    401: "No valid API key, or no valid code. Where none is needed, only what stands before the "
    "service may answer so.",
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
# How a receiver knows that it is us.
_SIGNATURE = {
    "type": "apiKey",
    "in": "header",
    "name": "webhook-signature",
    "description": "HMAC-SHA256 with the endpoint's signing secret, after Standard Webhooks: "
    "verify it before you believe a message.",
}


@functools.cache
def openapi_document() -> dict[str, Any]:
    """Generate and complete the document, once a process: no setting changes it."""
    webhooks = APIRouter()
    describe(webhooks)
    document = get_openapi(
        title="Partner Connector",
        version=__version__,
        openapi_version="3.1.0",
        summary="Sight of the people behind Meta business partners.",
        description=DESCRIPTION.strip(),
        routes=[route for router in ROUTERS for route in router.routes],
        webhooks=webhooks.routes,
        tags=TAGS,
        contact={"name": "Whoever runs this deployment"},
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[
            {
                "url": "https://{host}",
                "description": "Production: your own deployment.",
                "variables": {
                    "host": {
                        "default": "partner-connector.example.com",
                        "description": "Where it is.",
                    }
                },
                "x-internal": False,
            }
        ],
        separate_input_output_schemas=False,
    )
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError", "Scope", "EventType"):
        schemas.pop(unused, None)
    _add_problem_schemas(schemas)
    document["components"]["headers"] = copy.deepcopy(HEADERS)
    document["components"]["responses"] = _problem_responses() | {"NotModified": _not_modified()}
    _bound(document)
    tagged = _tagged_schemas(document)
    for path in document["paths"].values():
        for method in _METHODS:
            if method in path:
                _complete(path[method], changes=method != "get")
                _add_conditions(method, path[method], tagged)
    document["components"]["securitySchemes"]["webhookSignature"] = copy.deepcopy(_SIGNATURE)
    for item in document["webhooks"].values():
        # It is a customer's server that answers them.
        item["post"]["responses"].pop("422", None)
        item["post"]["security"] = [{"webhookSignature": []}]
    return document


def _add_problem_schemas(schemas: dict[str, Any]) -> None:
    problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem


def _problem_responses() -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    answers: dict[str, Any] = {}
    for status, description in _PROBLEMS.items():
        names = [*ON_EVERY_ANSWER, *(["Retry-After"] if status in {429, 503} else [])]
        answers[f"Problem{status}"] = {
            "description": description,
            "headers": _references(*names),
            "content": copy.deepcopy(content),
        }
    return answers


def _references(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _bound(node: Any) -> None:
    """Generated clients in typed languages want to know how great a number can be: all of ours
    that say nothing else fit into 32 bits. And a text has no NUL, which neither database takes.
    """
    if isinstance(node, dict):
        if node.get("type") == "integer":
            node.setdefault("format", "int32")
        if node.get("type") == "string" and not {"pattern", "format", "enum", "const"} & set(node):
            node["pattern"] = NO_NUL
        for child in node.values():
            _bound(child)
    elif isinstance(node, list):
        for child in node:
            _bound(child)


def _complete(operation: dict[str, Any], *, changes: bool) -> None:
    needs = operation.get("security", [])
    scopes = [name for need in needs for name in need.get("apiKey", ())]
    if scopes:
        operation["description"] += f"\n\nNeeds the scope `{scopes[0]}`."
        operation["x-required-scopes"] = scopes
    # OpenAPI knows scopes of OAuth only. And `[{}]` says that no credential is needed.
    operation["security"] = [{name: [] for name in need} for need in needs] or [{}]
    responses = operation["responses"]
    responses.pop("422", None)
    given = {parameter["name"] for parameter in operation.get("parameters", [])}
    for status in _statuses(operation, needs, changes=changes):
        reference = {"$ref": f"#/components/responses/Problem{status}"}
        responses.setdefault(str(status), reference)
    for status, answer in responses.items():
        if status.startswith("2"):
            names = [*ON_EVERY_ANSWER, *ON_SUCCESS.get(status, ())]
            if "page_size" in given:
                names.append("Link")
            answer.setdefault("headers", {}).update(_references(*names))
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _without_null(parameter["schema"])
        if parameter["in"] == "path":
            kind = parameter["name"].removesuffix("_id").replace("_", " ")
            parameter.setdefault("description", f"Which {kind}.")
    for content in operation.get("requestBody", {}).get("content", {}).values():
        content["schema"] = _without_null(content["schema"])


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
    names = ("ETag", *ON_EVERY_ANSWER)
    return {
        "description": "It is what `If-None-Match` names. Without a body.",
        "headers": _references(*names),
    }


def _statuses(
    operation: dict[str, Any], needs: list[dict[str, list[str]]], *, changes: bool
) -> list[int]:
    statuses = [400, 401, 429, 500, 503]
    if "x-required-scopes" in operation:
        statuses.append(403)
    if any("tokenRequestCode" in need for need in needs):
        statuses.append(410)
    if "requestBody" in operation:
        statuses += [413, 415]
    if "requestBody" in operation or operation.get("parameters"):
        statuses.append(422)
    if any(parameter["in"] == "path" for parameter in operation.get("parameters", [])):
        statuses.append(404)
    if changes:
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
