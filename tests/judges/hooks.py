"""Hooks that make the requests valid which Schemathesis generates as valid.

Requests that it generates as invalid are sent unchanged.
"""

import base64
import json
import os
import urllib.request
import uuid
from typing import Any

import schemathesis  # type: ignore[import-not-found] # it is in the judges' environment
from nacl.public import PublicKey, SealedBox


def _sealing_key() -> tuple[str, SealedBox[PublicKey]]:
    request = urllib.request.Request(  # noqa: S310 - the service under test
        f"{os.environ['CONTRACT_URL']}/v1/sealing-keys/current",
        headers={"Authorization": f"Bearer {os.environ['CONTRACT_KEY']}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        key = json.load(answer)
    return key["key_id"], SealedBox(PublicKey(base64.b64decode(key["public_key"])))


KEY_ID, BOX = _sealing_key()


def _tags_of(case: Any) -> list[str]:
    """Return the tags of the operation."""
    return list(case.operation.tags or ())


@schemathesis.hook  # type: ignore[untyped-decorator] # as above
def before_call(_context: Any, case: Any, options: Any) -> None:
    """Remove cursors and versions, seal the token, and use a new idempotency key.

    The partner's side uses the link's code instead of the API key.
    """
    for headers in (case.headers, options.get("headers")):
        if headers and "pck_" in headers.get("Authorization", "") and "Hand-over" in _tags_of(case):
            headers["Authorization"] = f"Bearer {os.environ['CONTRACT_CODE']}"
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if isinstance(case.query, dict):
        case.query.pop("cursor", None)
    for name in list(case.headers or {}):
        if name.lower() in {"if-match", "if-none-match"}:
            del case.headers[name]
        elif name.lower() == "idempotency-key":
            case.headers[name] = str(uuid.uuid4())
    if isinstance(case.body, dict) and "sealed_token" in case.body:
        sealed = BOX.encrypt(b"EAAB" + uuid.uuid4().hex.encode() * 3)
        case.body |= {"key_id": KEY_ID, "sealed_token": base64.b64encode(sealed).decode()}
