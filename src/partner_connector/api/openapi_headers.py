"""Response headers of the OpenAPI document, and the responses that have each of them."""

from typing import Any


def _text(description: str, *, max_length: int, pattern: str, example: str) -> dict[str, Any]:
    schema = {"type": "string", "maxLength": max_length, "pattern": pattern, "examples": [example]}
    return {"description": description, "schema": schema}


HEADERS: dict[str, dict[str, Any]] = {
    "Access-Control-Allow-Origin": _text(
        "The origin of the calling web page, if the deployment allows this origin; else absent.",
        max_length=300,
        pattern=r"^https?://[^/\s]+$",
        example="https://front-end.example.com",
    ),
    "Link": _text(
        "Links of this response (RFC 8288): `next` leads to the next page; "
        "`successor-version` and `deprecation` belong to an operation that will be removed.",
        max_length=8000,
        pattern=r"^<[^>]+>; rel=",
        example='</v1/partners?cursor=bm90LW9uZQ>; rel="next"',
    ),
    "X-Request-Id": _text(
        "The id of the request. Logs and problems contain the same id.",
        max_length=64,
        pattern="^[A-Za-z0-9_-]{8,64}$",
        example="req_01k9z3v0e8fjt9m2c4r6w8xabc",
    ),
    "ETag": _text(
        "The strong, opaque tag of this representation (RFC 9110), for `If-Match` and "
        "`If-None-Match`.",
        max_length=80,
        pattern=r'^"[\x21\x23-\x7e]+"$',
        example='"1f0c8f2a9b7d4e6355a1c0de42b79f13"',
    ),
    "Idempotent-Replayed": {
        "description": "`true` when this is the stored response to an earlier request with the "
        "same `Idempotency-Key`.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Location": {
        "description": "The path of the new resource, or of the resource that shows the progress.",
        "schema": {
            "type": "string",
            "format": "uri-reference",
            "maxLength": 200,
            "examples": ["/v1/sync-jobs/job_01k9z3v0e8fjt9m2c4r6w8xabc"],
        },
    },
    "RateLimit": _text(
        "Requests that remain (`r`) and seconds until the oldest counted request expires (`t`), "
        "if the request was counted (draft-ietf-httpapi-ratelimit-headers).",
        max_length=200,
        pattern=r'^"default";r=[0-9]+;t=[0-9]+$',
        example='"default";r=42;t=17',
    ),
    "RateLimit-Policy": _text(
        "The limit of the API key or code: requests (`q`) in a window of seconds (`w`).",
        max_length=200,
        pattern=r'^"default";q=[0-9]+;w=[0-9]+$',
        example='"default";q=600;w=60',
    ),
    "Retry-After": {
        "description": "Seconds to wait before the next request.",
        "schema": {
            "type": "integer",
            "format": "int32",
            "minimum": 0,
            "maximum": 86400,
            "examples": [1],
        },
    },
}
ON_EVERY_RESPONSE = ("X-Request-Id", "Access-Control-Allow-Origin", "RateLimit", "RateLimit-Policy")
ON_SUCCESS = {"201": ("Location",), "202": ("Location", "Retry-After")}
