"""The one object that holds a token, and the one place that puts it on a request."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlencode

import httpx

from partner_connector.graph.errors import TokenDead
from partner_connector.graph.redact import HIDDEN

_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class ProofMode(StrEnum):
    """How a call proves that its sender also knows the app's secret (9 [D])."""

    OFF = "off"
    PLAIN = "plain"
    TIMED = "timed"


class _Secret(httpx.Auth):
    """Something with a token in it, which is neither shown nor stored."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({HIDDEN})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials are never stored")


class Credentials(_Secret):
    """A token as httpx wants it: asked for at each attempt, so a timed proof is always fresh."""

    def __init__(
        self,
        token: str,
        *,
        proof: ProofMode,
        app_secret: str | None,
        clock: Callable[[], float],
        also_secret: str | None = None,
    ) -> None:
        # A line break would reach the HTTP library, whose complaint repeats the whole header.
        if not _PRINTABLE.fullmatch(token):
            raise TokenDead("The token has characters that no token of Meta's has")
        self._token = token
        self._proof = proof
        self._app_secret = app_secret
        self._clock = clock
        self._also_secret = also_secret

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a GET by header and query, a batch by its form.

        Sending the token both ways is undefined (9 [?]); the form field is the documented way
        for a batch (8.1 [D]), the header keeps it out of every URL (9 [D]). What is sent is a
        signed copy, so that the request which is kept for another attempt holds no token.
        """
        proof = self._proof_params()
        if request.method == "GET":
            yield self._with_header(request, proof)
        else:
            fields = urlencode({"access_token": self._token, **proof}).encode()
            yield _with_form(request, request.content + b"&" + fields)

    def signed_operation(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        """One read of a batch, made with this token instead of the batch's own.

        In a header of its own, so that no address holds the token (8.1 [D] knows the key, not
        what it may carry [?]); a proof belongs to its token, so it goes along.
        """
        address, proof = str(operation["relative_url"]), self._proof_params()
        if proof:
            address += ("&" if "?" in address else "?") + urlencode(proof)
        header = {"name": "Authorization", "value": f"Bearer {self._token}"}
        return {**operation, "relative_url": address, "headers": [header]}

    def secrets(self) -> tuple[str, ...]:
        """What must not appear in any text made from an answer to this token."""
        candidates = (self._token, self._app_secret, self._also_secret)
        return tuple(secret for secret in candidates if secret)

    def _with_header(self, request: httpx.Request, proof: dict[str, str]) -> httpx.Request:
        headers = request.headers.copy()
        headers["Authorization"] = f"Bearer {self._token}"
        return httpx.Request(
            request.method,
            request.url.copy_merge_params(proof) if proof else request.url,
            headers=headers,
            extensions=request.extensions,
        )

    def _proof_params(self) -> dict[str, str]:
        if self._proof is ProofMode.OFF or self._app_secret is None:
            return {}
        if self._proof is ProofMode.PLAIN:
            return {"appsecret_proof": _hmac(self._app_secret, self._token)}
        now = str(int(self._clock()))
        return {
            "appsecret_proof": _hmac(self._app_secret, f"{self._token}|{now}"),
            "appsecret_time": now,
        }


class BatchCredentials(_Secret):
    """The batch's own token, and those of the reads in it that are made with another one."""

    def __init__(self, own: Credentials, others: Sequence[Credentials | None]) -> None:
        """`others` has a place for each read; None leaves a read to the batch's own token."""
        self._own = own
        self._others = others

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign the reads, then the batch; again at each attempt."""
        form = dict(parse_qsl(request.content.decode(), keep_blank_values=True))
        operations = [
            operation if credentials is None else credentials.signed_operation(operation)
            for operation, credentials in zip(json.loads(form["batch"]), self._others, strict=True)
        ]
        signed = urlencode({**form, "batch": json.dumps(operations)}).encode()
        yield from self._own.auth_flow(_with_form(request, signed))

    def secrets(self) -> tuple[str, ...]:
        """The secrets of all of them."""
        every = (self._own, *filter(None, self._others))
        return tuple(secret for credentials in every for secret in credentials.secrets())


# Whatever may sign a request.
Signer = Credentials | BatchCredentials


def _with_form(request: httpx.Request, form: bytes) -> httpx.Request:
    return httpx.Request(
        request.method,
        request.url,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        content=form,
        extensions=request.extensions,
    )


def _hmac(secret: str, message: str) -> str:
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()
