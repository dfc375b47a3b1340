"""Credentials: they hold a token and are the only code that adds it to a request.

Facts about Meta are on the page `docs/reference/graph-facts.md`, named here as `#…`.
"""

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


class AppsecretProofMode(StrEnum):
    """Form of the `appsecret_proof` that is sent with each call (#appsecret-proof)."""

    OFF = "off"
    PLAIN = "plain"
    TIMED = "timed"


class _Secret(httpx.Auth):
    """Base of objects that hold a token: not shown by `repr` and not picklable."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({HIDDEN})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials are never stored")


class Credentials(_Secret):
    """A token as httpx authentication. Each attempt is signed again, with a fresh time."""

    def __init__(
        self,
        token: str,
        *,
        appsecret_proof: AppsecretProofMode,
        app_secret: str | None,
        clock: Callable[[], float],
        also_secret: str | None = None,
    ) -> None:
        # The HTTP library's error for a line break would repeat the whole header.
        if not _PRINTABLE.fullmatch(token):
            raise TokenDead("The token has characters that Meta's tokens never have")
        self._token = token
        self._appsecret_proof = appsecret_proof
        self._app_secret = app_secret
        self._clock = clock
        self._also_secret = also_secret

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield a signed copy of the request: a GET by header and query, a batch by its form.

        The form field is the documented way for a batch (#batches); for a GET the header keeps the
        token out of the URL. Meta does not define what happens when both are sent
        (#appsecret-proof). The original request is kept for another attempt, so it gets no token.
        """
        params = self._appsecret_params()
        if request.method == "GET":
            yield self._with_header(request, params)
        else:
            fields = urlencode({"access_token": self._token, **params}).encode()
            yield _with_form(request, request.content + b"&" + fields)

    def signed_operation(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        """Return a read of a batch that is signed with this token instead of the batch's token.

        The token is in a header of the operation, so that no URL holds it. Meta documents the
        `headers` key, but not which headers it may hold (#batches). The `appsecret_proof` is
        derived from the token, so it is added too.
        """
        url, params = str(operation["relative_url"]), self._appsecret_params()
        if params:
            url += ("&" if "?" in url else "?") + urlencode(params)
        header = {"name": "Authorization", "value": f"Bearer {self._token}"}
        return {**operation, "relative_url": url, "headers": [header]}

    def secrets(self) -> tuple[str, ...]:
        """Return the secrets that must be removed from every text of an answer."""
        candidates = (self._token, self._app_secret, self._also_secret)
        return tuple(secret for secret in candidates if secret)

    def _with_header(self, request: httpx.Request, params: dict[str, str]) -> httpx.Request:
        headers = request.headers.copy()
        headers["Authorization"] = f"Bearer {self._token}"
        return httpx.Request(
            request.method,
            request.url.copy_merge_params(params) if params else request.url,
            headers=headers,
            extensions=request.extensions,
        )

    def _appsecret_params(self) -> dict[str, str]:
        if self._appsecret_proof is AppsecretProofMode.OFF or self._app_secret is None:
            return {}
        if self._appsecret_proof is AppsecretProofMode.PLAIN:
            return {"appsecret_proof": _hmac(self._app_secret, self._token)}
        now = str(int(self._clock()))
        return {
            "appsecret_proof": _hmac(self._app_secret, f"{self._token}|{now}"),
            "appsecret_time": now,
        }


class BatchCredentials(_Secret):
    """Token of a batch, and tokens of the reads in it that are signed with another token."""

    def __init__(self, own: Credentials, others: Sequence[Credentials | None]) -> None:
        """Create credentials with one item in `others` per read; None uses the batch's token."""
        self._own = own
        self._others = others

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Yield a signed copy of the batch: first its reads are signed, then the batch.

        Each attempt is signed again.
        """
        form = dict(parse_qsl(request.content.decode(), keep_blank_values=True))
        operations = [
            operation if credentials is None else credentials.signed_operation(operation)
            for operation, credentials in zip(json.loads(form["batch"]), self._others, strict=True)
        ]
        signed = urlencode({**form, "batch": json.dumps(operations)}).encode()
        yield from self._own.auth_flow(_with_form(request, signed))

    def secrets(self) -> tuple[str, ...]:
        """Return the secrets of all tokens in the batch."""
        all_credentials = (self._own, *filter(None, self._others))
        return tuple(secret for each in all_credentials for secret in each.secrets())


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
