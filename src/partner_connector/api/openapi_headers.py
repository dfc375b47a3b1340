"""The headers of answers, as the OpenAPI document tells them, and which answers have which."""

from typing import Any

HEADERS: dict[str, dict[str, Any]] = {
    "Access-Control-Allow-Origin": {
        "description": "The origin of a page that this deployment lets call it; else not there.",
        "schema": {
            "type": "string",
            "maxLength": 300,
            "pattern": r"^https?://[^/\s]+$",
            "examples": ["https://front-end.example.com"],
        },
    },
    "Link": {
        "description": "Relations of this answer (RFC 8288): `next` to the next page, "
        "`successor-version` and `deprecation` of an operation that ends.",
        "schema": {
            "type": "string",
            "maxLength": 8000,
            "pattern": r"^<[^>]+>; rel=",
            "examples": ['</v1/partners?cursor=bm90LW9uZQ>; rel="next"'],
        },
    },
    "X-Request-Id": {
        "description": "The request's id, in logs and problems too.",
        "schema": {
            "type": "string",
            "maxLength": 64,
            "pattern": "^[A-Za-z0-9_-]{8,64}$",
            "examples": ["req_01k9z3v0e8fjt9m2c4r6w8xabc"],
        },
    },
    "ETag": {
        "description": "The tag of this very representation (RFC 9110): strong, opaque.",
        "schema": {
            "type": "string",
            "maxLength": 80,
            "pattern": r'^"[\x21\x23-\x7e]+"$',
            "examples": ['"1f0c8f2a9b7d4e6355a1c0de42b79f13"'],
        },
    },
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
    "RateLimit": {
        "description": "What remains of the allowance, where the request was counted "
        "(draft-ietf-httpapi-ratelimit-headers).",
        "schema": {
            "type": "string",
            "maxLength": 200,
            "pattern": r'^"default";r=[0-9]+;t=[0-9]+$',
            "examples": ['"default";r=42;t=17'],
        },
    },
    "RateLimit-Policy": {
        "description": "The allowance of this key.",
        "schema": {
            "type": "string",
            "maxLength": 200,
            "pattern": r'^"default";q=[0-9]+;w=[0-9]+$',
            "examples": ['"default";q=600;w=60'],
        },
    },
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
