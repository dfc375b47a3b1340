"""The headers of answers, as the OpenAPI document tells them, and which answers have which."""

from typing import Any


def _text(description: str, *, max_length: int, pattern: str, example: str) -> dict[str, Any]:
    schema = {"type": "string", "maxLength": max_length, "pattern": pattern, "examples": [example]}
    return {"description": description, "schema": schema}


HEADERS: dict[str, dict[str, Any]] = {
    "Access-Control-Allow-Origin": _text(
        "The origin of a page that this deployment lets call it; else not there.",
        max_length=300,
        pattern=r"^https?://[^/\s]+$",
        example="https://front-end.example.com",
    ),
    "Link": _text(
        "Relations of this answer (RFC 8288): `next` to the next page, "
        "`successor-version` and `deprecation` of an operation that ends.",
        max_length=8000,
        pattern=r"^<[^>]+>; rel=",
        example='</v1/partners?cursor=bm90LW9uZQ>; rel="next"',
    ),
    "X-Request-Id": _text(
        "The request's id, in logs and problems too.",
        max_length=64,
        pattern="^[A-Za-z0-9_-]{8,64}$",
        example="req_01k9z3v0e8fjt9m2c4r6w8xabc",
    ),
    "ETag": _text(
        "The tag of this very representation (RFC 9110): strong, opaque.",
        max_length=80,
        pattern=r'^"[\x21\x23-\x7e]+"$',
        example='"1f0c8f2a9b7d4e6355a1c0de42b79f13"',
    ),
    "Idempotent-Replayed": {
        "description": "`true` where this was answered before to the same `Idempotency-Key`.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Location": {
        "description": "Where the new or pending resource is.",
        "schema": {
            "type": "string",
            "format": "uri-reference",
            "maxLength": 200,
            "examples": ["/v1/sync-jobs/job_01k9z3v0e8fjt9m2c4r6w8xabc"],
        },
    },
    "RateLimit": _text(
        "What remains of the allowance, where the request was counted "
        "(draft-ietf-httpapi-ratelimit-headers).",
        max_length=200,
        pattern=r'^"default";r=[0-9]+;t=[0-9]+$',
        example='"default";r=42;t=17',
    ),
    "RateLimit-Policy": _text(
        "The allowance of this key.",
        max_length=200,
        pattern=r'^"default";q=[0-9]+;w=[0-9]+$',
        example='"default";q=600;w=60',
    ),
    "Retry-After": {
        "description": "Seconds to wait.",
        "schema": {
            "type": "integer",
            "format": "int32",
            "minimum": 0,
            "maximum": 86400,
            "examples": [1],
        },
    },
}
ON_EVERY_ANSWER = ("X-Request-Id", "Access-Control-Allow-Origin", "RateLimit", "RateLimit-Policy")
ON_SUCCESS = {"201": ("Location",), "202": ("Location", "Retry-After")}
