"""The two forms in which a client sends a token, and their conversion to a sealed box."""

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
    """The body has neither `access_token` nor `sealed_token` with `key_id`, or it has both."""

    code = "token_form_invalid"
    title = "The token is not in one of its two forms"
    description = (
        "Send either `access_token`, or `sealed_token` together with the `key_id` of the key that "
        "it was sealed for."
    )


class TokenMalformed(Unprocessable):
    """The text in `access_token` is empty, has white space inside or is no access token."""

    code = "token_malformed"
    title = "The text is not an access token"
    description = "Copy the whole token from Meta's dialog again, in one piece."


class SealedTokenRequired(Unprocessable):
    """The body has `access_token`, and this deployment accepts sealed tokens only."""

    code = "sealed_token_required"
    title = "A token in clear is not accepted"
    description = (
        "Seal the token for the key at `/v1/sealing-keys/current`. Send `sealed_token` and "
        "`key_id`."
    )


class UnknownKeyId(Unprocessable):
    """The token was sealed for a key that is unknown or no longer accepted."""

    code = "unknown_key_id"
    title = "The sealing key is not accepted"
    description = "Fetch `/v1/sealing-keys/current`, seal the token for that key and retry."


class SealedTokenMalformed(Unprocessable):
    """`sealed_token` is not standard base64, or has a length that no sealed box can have."""

    code = "sealed_token_malformed"
    title = "`sealed_token` is not a sealed box"
    description = (
        "Seal the token with libsodium's `crypto_box_seal` and send the sealed box in standard "
        "base64 with padding."
    )


# Long enough for a token and clearly not one: an example must never look like a secret.
EXAMPLE_TOKEN = "the-token-as-meta-shows-it"  # noqa: S105
EXAMPLE_SEALED = "c2VhbGVk" * 12
_PRESENT: JsonValue = {"type": "string", "minLength": 1, "maxLength": 8192}
_ABSENT: JsonValue = {"type": "null"}
# Not `oneOf`: client generators would make two types of it and lose the common members.
ONE_OF_TWO_FORMS: dict[str, JsonValue] = {
    "if": {
        "required": ["access_token"],
        "properties": {"access_token": _PRESENT},
        "additionalProperties": True,
    },
    "then": {
        "properties": {"sealed_token": _ABSENT, "key_id": _ABSENT},
        "additionalProperties": True,
    },
    "else": {
        "required": ["sealed_token", "key_id"],
        "properties": {"sealed_token": _PRESENT, "key_id": _PRESENT},
        "additionalProperties": True,
    },
}
# Accepts what `canonical` accepts. Documentation only: `token_malformed` explains an error better.
_QUOTE = "[\"'`]?"
_PASTED_TOKEN = rf"^\s*{_QUOTE}([Bb]earer )?[A-Za-z0-9_\-.|]{{20,2048}}{_QUOTE}\s*$"


def either_form(example: dict[str, Any]) -> ConfigDict:
    """Return a model configuration that documents the two forms, and an example in clear."""
    return ConfigDict(
        json_schema_extra={
            **ONE_OF_TWO_FORMS,
            "examples": [{**example, "access_token": EXAMPLE_TOKEN}],
        }
    )


class TokenIntake(Body):
    """A token, either in clear or sealed by the client."""

    model_config = either_form({})

    access_token: SecretStr | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="The token as Meta shows it. It is sealed on arrival, and never stored in "
        "clear, logged or returned.",
        examples=[EXAMPLE_TOKEN],
        json_schema_extra={"writeOnly": True, "pattern": _PASTED_TOKEN},
    )
    sealed_token: str | None = Field(
        default=None,
        min_length=1,
        max_length=8192,
        pattern=r"^[A-Za-z0-9+/]+={0,2}$",
        description="A libsodium sealed box (`crypto_box_seal`) that holds the token, in standard "
        "base64.",
        examples=[EXAMPLE_SEALED],
        json_schema_extra={"writeOnly": True},
    )
    key_id: str | None = Field(
        default=None,
        max_length=32,
        pattern=r"^sk_[0-9a-f]{16}$",
        description="Id of the sealing key that `sealed_token` was sealed for.",
        examples=["sk_0123456789abcdef"],
    )


def sealed(intake: TokenIntake, keyring: PublicKeyring, settings: Settings) -> SealedToken:
    """Return the token sealed, the only form in which it is stored.

    Raises one of this module's problems. A token in clear is kept in memory during this call only.
    """
    in_clear = intake.access_token is not None
    by_client = intake.sealed_token is not None and intake.key_id is not None
    no_sealed_part = intake.sealed_token is None and intake.key_id is None
    if in_clear == by_client or (in_clear and not no_sealed_part):
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
        raise TokenMalformed(f"{error.detail} {TokenMalformed.description}") from None


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
