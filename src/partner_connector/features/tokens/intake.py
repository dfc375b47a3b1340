"""The two ways a token arrives, and how both become the same sealed box."""

import base64
import binascii
from typing import Any

from pydantic import ConfigDict, Field, JsonValue, SecretStr

from partner_connector.errors import Unprocessable
from partner_connector.features.tokens.token_format import MalformedToken, canonical
from partner_connector.sealing.public import SEALED_BOX_OVERHEAD, PublicKeyring, SealedToken
from partner_connector.settings import Settings
from partner_connector.web.schemas import Body

_MAX_SEALED_BYTES = 4096


class TokenFormInvalid(Unprocessable):
    """Neither form, or both."""

    code = "token_form_invalid"
    title = "Send the token in one of its two forms"
    description = (
        "Send either `access_token`, or `sealed_token` together with the `key_id` that it was "
        "sealed for."
    )


class TokenMalformed(Unprocessable):
    """What was pasted is not a token."""

    code = "token_malformed"
    title = "This is not an access token"
    description = "Copy the whole token from Meta's dialog, in one piece."


class SealedTokenRequired(Unprocessable):
    """This deployment does not accept tokens in clear."""

    code = "sealed_token_required"
    title = "Seal the token before sending it"
    description = (
        "This deployment accepts sealed tokens only: seal for the key at "
        "`/v1/sealing-keys/current` and send `sealed_token` and `key_id`."
    )


class UnknownKeyId(Unprocessable):
    """Sealed for a key that is not, or no longer, accepted."""

    code = "unknown_key_id"
    title = "The sealing key is not accepted"
    description = "Fetch `/v1/sealing-keys/current`, seal again for that key and retry."


class SealedTokenMalformed(Unprocessable):
    """Not standard base64, or too short or long to be a sealed box."""

    code = "sealed_token_malformed"
    title = "This is not a sealed box"
    description = "`sealed_token` is the standard base64, with padding, of a libsodium sealed box."


# Long enough to be one and plainly none: an example must never look like a secret.
EXAMPLE_TOKEN = "the-token-as-meta-shows-it"  # noqa: S105
EXAMPLE_SEALED = "c2VhbGVk" * 12
_GIVEN: JsonValue = {"type": "string", "minLength": 1, "maxLength": 8192}
_LEFT_OUT: JsonValue = {"type": "null"}
# Not `oneOf`: generators of clients would make two types of it, and lose what both have in common.
ONE_OF_TWO_FORMS: dict[str, JsonValue] = {
    "if": {
        "required": ["access_token"],
        "properties": {"access_token": _GIVEN},
        "additionalProperties": True,
    },
    "then": {
        "properties": {"sealed_token": _LEFT_OUT, "key_id": _LEFT_OUT},
        "additionalProperties": True,
    },
    "else": {
        "required": ["sealed_token", "key_id"],
        "properties": {"sealed_token": _GIVEN, "key_id": _GIVEN},
        "additionalProperties": True,
    },
}
# What `canonical` accepts, for the document only: our own words on what is wrong are better.
_QUOTE = "[\"'`]?"
_PASTED_TOKEN = rf"^\s*{_QUOTE}([Bb]earer )?[A-Za-z0-9_\-.|]{{20,2048}}{_QUOTE}\s*$"


def either_form(example: dict[str, Any]) -> ConfigDict:
    """The model's part of the OpenAPI document: one of two forms, and an example."""
    return ConfigDict(
        json_schema_extra={
            **ONE_OF_TWO_FORMS,
            "examples": [{**example, "access_token": EXAMPLE_TOKEN}],
        }
    )


class TokenIntake(Body):
    """A token in clear, which is sealed on arrival, or one that the client sealed itself."""

    model_config = either_form({})

    access_token: SecretStr | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="The token as Meta shows it. Sealed on arrival; never stored, logged or "
        "returned.",
        examples=[EXAMPLE_TOKEN],
        json_schema_extra={"writeOnly": True, "pattern": _PASTED_TOKEN},
    )
    sealed_token: str | None = Field(
        default=None,
        min_length=1,
        max_length=8192,
        pattern=r"^[A-Za-z0-9+/]+={0,2}$",
        description="Standard base64 of a libsodium sealed box (`crypto_box_seal`) that holds "
        "the token.",
        examples=[EXAMPLE_SEALED],
        json_schema_extra={"writeOnly": True},
    )
    key_id: str | None = Field(
        default=None,
        max_length=32,
        pattern=r"^sk_[0-9a-f]{16}$",
        description="The sealing key that `sealed_token` is for.",
        examples=["sk_0123456789abcdef"],
    )


def sealed(intake: TokenIntake, keyring: PublicKeyring, settings: Settings) -> SealedToken:
    """The token in the one form in which it may be written down.

    Raises one of this module's problems. A token in clear lives in this call only.
    """
    in_clear = intake.access_token is not None
    by_client = intake.sealed_token is not None and intake.key_id is not None
    neither_half = intake.sealed_token is None and intake.key_id is None
    if in_clear == by_client or (in_clear and not neither_half):
        raise TokenFormInvalid
    if intake.access_token is not None:
        if settings.require_sealed_tokens:
            raise SealedTokenRequired
        return _sealed_on_arrival(intake.access_token, keyring)
    assert intake.sealed_token is not None
    assert intake.key_id is not None
    return _sealed_by_client(intake.sealed_token, intake.key_id, keyring)


def _sealed_on_arrival(access_token: SecretStr, keyring: PublicKeyring) -> SealedToken:
    try:
        return keyring.seal(canonical(access_token.get_secret_value()))
    except MalformedToken as error:
        raise TokenMalformed(error.detail) from None


def _sealed_by_client(sealed_token: str, key_id: str, keyring: PublicKeyring) -> SealedToken:
    if not keyring.accepts(key_id):
        raise UnknownKeyId
    try:
        box = base64.b64decode(sealed_token, validate=True)
    except binascii.Error:
        raise SealedTokenMalformed from None
    if not SEALED_BOX_OVERHEAD < len(box) <= _MAX_SEALED_BYTES:
        raise SealedTokenMalformed
    return SealedToken(key_id, box)
