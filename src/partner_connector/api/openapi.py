"""The OpenAPI document: FastAPI's output plus the responses, headers and limits shared by all."""

import copy
import functools
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi

from partner_connector import __version__
from partner_connector.api.openapi_headers import HEADERS, ON_EVERY_RESPONSE, ON_SUCCESS
from partner_connector.api.routes import ROUTERS, TAGS
from partner_connector.features.webhooks.published import add_webhooks
from partner_connector.web.error_handlers import MEDIA_TYPE, ProblemDocument

DESCRIPTION = """
Find out which people at your Meta business partners have access to the assets that you share with
them, and follow how that changes.

Authenticate with an API key: `Authorization: Bearer pck_…`. The key selects the workspace. Times
are in RFC 3339 format and UTC, ids are opaque strings with a prefix, and every failure is an
`application/problem+json` document whose `code` is stable. Each token is encrypted when it arrives,
and no operation returns a token.
"""

NO_NUL = r"^[^\x00]*$"

_METHODS = ("get", "post", "put", "patch", "delete")
_PROBLEMS: dict[int, str] = {
    400: "The body is not valid JSON, or the request is not valid HTTP.",
    401: "The API key or the code of the link is missing or not valid. An operation that needs no "
    "credential returns this only when a proxy in front of the service does.",
    403: "The API key does not have the scope that the operation needs.",
    404: "The resource does not exist in this workspace.",
    406: "`Accept` names no media type that the operation can return.",
    409: "The current state does not allow the operation.",
    410: "The token request has ended, and its link can no longer be used.",
    412: "The resource does not match `If-Match` or `If-None-Match`. Nothing was changed.",
    413: "The request body is larger than 64 KiB.",
    415: "The `Content-Type` of the request body is not JSON.",
    422: "A parameter or a member of the body is not valid.",
    429: "The API key, the code or the network address has used up its requests for now.",
    500: "The server failed unexpectedly.",
    503: "The service is busy or not ready. Wait for the seconds in `Retry-After`.",
}
_SUCCESSES = {
    "200": "The operation succeeded.",
    "201": "The resource was created.",
    "202": "The request was accepted, and the work continues. `Location` leads to its progress.",
    "204": "The operation succeeded. The response has no body.",
}
_RESOURCE_OF_ID = {
    "api_key": "API key",
    "job": "sync job",
    "request": "token request",
    "validation": "token validation",
}
# Lets a receiver check that a message comes from this service.
_SIGNATURE = {
    "type": "apiKey",
    "in": "header",
    "name": "webhook-signature",
    "description": "HMAC-SHA256 with the endpoint's signing secret, as Standard Webhooks defines "
    "it. Verify the signature before you use a message.",
}


@functools.cache
def openapi_document() -> dict[str, Any]:
    """Return the document, generated once per process. It does not depend on settings."""
    webhooks = APIRouter()
    add_webhooks(webhooks)
    document = get_openapi(
        title="Partner Connector",
        version=__version__,
        openapi_version="3.1.0",
        summary="See which people at Meta business partners can access your assets.",
        description=DESCRIPTION.strip(),
        routes=[route for router in ROUTERS for route in router.routes],
        webhooks=webhooks.routes,
        tags=TAGS,
        contact={"name": "The operator of this deployment"},
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[
            {
                "url": "https://{host}",
                "description": "Production: your own deployment.",
                "variables": {
                    "host": {
                        "default": "partner-connector.example.com",
                        "description": "The host name of your deployment.",
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
    _add_type_limits(document)
    etag_schemas = _etag_schemas(document)
    for path in document["paths"].values():
        for method in _METHODS:
            if method in path:
                _complete_operation(path[method], is_write=method != "get")
                _add_conditional_headers(method, path[method], etag_schemas)
    document["components"]["securitySchemes"]["webhookSignature"] = copy.deepcopy(_SIGNATURE)
    for item in document["webhooks"].values():
        # The customer's server answers webhooks, so it does not return our problems.
        item["post"]["responses"].pop("422", None)
        item["post"]["security"] = [{"webhookSignature": []}]
    return document


def _add_problem_schemas(schemas: dict[str, Any]) -> None:
    problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem


def _problem_responses() -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses: dict[str, Any] = {}
    for status, description in _PROBLEMS.items():
        names = [*ON_EVERY_RESPONSE, *(["Retry-After"] if status in {429, 503} else [])]
        responses[f"Problem{status}"] = {
            "description": description,
            "headers": _references(*names),
            "content": copy.deepcopy(content),
        }
    return responses


def _references(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _add_type_limits(node: Any) -> None:
    """Add `int32` to integers without a format, and a pattern without NUL to plain strings.

    Generated clients in typed languages need the size of an integer. Neither database stores NUL.
    """
    if isinstance(node, dict):
        if node.get("type") == "integer":
            node.setdefault("format", "int32")
        if node.get("type") == "string" and not {"pattern", "format", "enum", "const"} & set(node):
            node["pattern"] = NO_NUL
        for child in node.values():
            _add_type_limits(child)
    elif isinstance(node, list):
        for child in node:
            _add_type_limits(child)


def _complete_operation(operation: dict[str, Any], *, is_write: bool) -> None:
    security = operation.get("security", [])
    scopes = [name for each in security for name in each.get("apiKey", ())]
    if scopes:
        operation["description"] += f"\n\nThe API key needs the scope `{scopes[0]}`."
        operation["x-required-scopes"] = scopes
    # OpenAPI has scopes for OAuth only. `[{}]` means that no credential is needed.
    operation["security"] = [{name: [] for name in each} for each in security] or [{}]
    responses = operation["responses"]
    responses.pop("422", None)
    parameter_names = {parameter["name"] for parameter in operation.get("parameters", [])}
    for status in _statuses(operation, security, is_write=is_write):
        reference = {"$ref": f"#/components/responses/Problem{status}"}
        responses.setdefault(str(status), reference)
    for status, answer in responses.items():
        if status.startswith("2"):
            if answer["description"] == "Successful Response":
                answer["description"] = _SUCCESSES[status]
            names = [*ON_EVERY_RESPONSE, *ON_SUCCESS.get(status, ())]
            if "page_size" in parameter_names:
                names.append("Link")
            answer.setdefault("headers", {}).update(_references(*names))
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _without_null(parameter["schema"])
        if parameter["in"] == "path":
            kind = parameter["name"].removesuffix("_id")
            kind = _RESOURCE_OF_ID.get(kind, kind.replace("_", " "))
            parameter.setdefault("description", f"The id of the {kind}.")
    for content in operation.get("requestBody", {}).get("content", {}).values():
        content["schema"] = _without_null(content["schema"])


def _etag_schemas(document: dict[str, Any]) -> list[str]:
    """Return references to the schemas that a `GET` with `If-None-Match` returns.

    Every operation that returns the current state of such a resource also returns its `ETag`.
    """
    reads = [path["get"] for path in document["paths"].values() if "get" in path]
    return [_response_schema(each, "200") for each in reads if _accepts(each, "If-None-Match")]


def _add_conditional_headers(
    method: str, operation: dict[str, Any], etag_schemas: list[str]
) -> None:
    """Add the `304` response, `ETag` and `Idempotent-Replayed` to operations that have them."""
    responses = operation["responses"]
    reference = {"$ref": "#/components/headers/ETag"}
    if method == "get" and _accepts(operation, "If-None-Match"):
        responses["304"] = {"$ref": "#/components/responses/NotModified"}
    for status in ("200", "201"):
        if "202" not in responses and _response_schema(operation, status) in etag_schemas:
            responses[status]["headers"]["ETag"] = reference
    if _accepts(operation, "Idempotency-Key"):
        for status, answer in responses.items():
            if status.startswith("2"):
                name = "Idempotent-Replayed"
                answer["headers"][name] = {"$ref": f"#/components/headers/{name}"}


def _accepts(operation: dict[str, Any], header: str) -> bool:
    return any(each["name"] == header for each in operation.get("parameters", []))


def _response_schema(operation: dict[str, Any], status: str) -> str:
    """Return the reference to the schema of a JSON response, or an empty string."""
    content = operation["responses"].get(status, {}).get("content", {})
    return str(content.get("application/json", {}).get("schema", {}).get("$ref", ""))


def _not_modified() -> dict[str, Any]:
    names = ("ETag", *ON_EVERY_RESPONSE)
    return {
        "description": "The resource still has a tag that `If-None-Match` names. No body is sent.",
        "headers": _references(*names),
    }


def _statuses(
    operation: dict[str, Any], security: list[dict[str, list[str]]], *, is_write: bool
) -> list[int]:
    statuses = [400, 401, 429, 500, 503]
    if "x-required-scopes" in operation:
        statuses.append(403)
    if any("tokenRequestCode" in each for each in security):
        statuses.append(410)
    if "requestBody" in operation:
        statuses += [413, 415]
    if "requestBody" in operation or operation.get("parameters"):
        statuses.append(422)
    if any(parameter["in"] == "path" for parameter in operation.get("parameters", [])):
        statuses.append(404)
    if is_write:
        statuses.append(409)
    if _accepts(operation, "If-Match"):
        statuses.append(412)
    if len(operation["responses"].get("200", {}).get("content", ())) > 1:
        statuses.append(406)
    return sorted(statuses)


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema without `null`, which a client would send as text in a query or header."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind.get("type") != "null"]
    if len(kinds) == 1:
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        return {**kinds[0], **rest}
    return schema
