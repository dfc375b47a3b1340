"""Identifiers: a UUIDv7 in the database, a prefixed base32 string everywhere else.

The prefix shows the kind of resource in a log or a support mail. Version 7 makes ids sort by their
time of creation. An id is never a credential.
"""

import uuid
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema
from uuid_utils.compat import uuid7

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
# The two characters for each value of 10 bits.
_PAIRS = tuple(first + second for first in _CROCKFORD for second in _CROCKFORD)
_10, _30 = (1 << 10) - 1, (1 << 30) - 1
_BODY_LENGTH = 26
_PATTERN_BODY = "[0-7][0-9a-hjkmnp-tv-z]{25}"


def new_id() -> uuid.UUID:
    """Return a new id that sorts after earlier ones."""
    return uuid7()


def encode(prefix: str, value: uuid.UUID | int) -> str:
    """Return the text of an id: `ptn_` and 26 characters of Crockford base32, as in `ptn_01k…`."""
    number = value if isinstance(value, int) else value.int
    # Pieces of 30 bits fit into one digit of a Python integer, which is faster. A page of a list
    # has hundreds of ids.
    a, b, c, d = number >> 100, number >> 70 & _30, number >> 40 & _30, number >> 10 & _30
    return (
        f"{prefix}_{_PAIRS[a >> 20]}{_PAIRS[a >> 10 & _10]}{_PAIRS[a & _10]}"
        f"{_PAIRS[b >> 20]}{_PAIRS[b >> 10 & _10]}{_PAIRS[b & _10]}"
        f"{_PAIRS[c >> 20]}{_PAIRS[c >> 10 & _10]}{_PAIRS[c & _10]}"
        f"{_PAIRS[d >> 20]}{_PAIRS[d >> 10 & _10]}{_PAIRS[d & _10]}{_PAIRS[number & _10]}"
    )


def decode(prefix: str, text: str) -> uuid.UUID:
    """Return the UUID of an id. Raises `ValueError` for another prefix, length or alphabet."""
    body = text.removeprefix(f"{prefix}_")
    if len(body) != _BODY_LENGTH or len(text) != len(prefix) + 1 + _BODY_LENGTH:
        raise ValueError("not an id of this kind")
    number = 0
    for character in body:
        number = number * 32 + _CROCKFORD.index(character)
    if number >> 128:
        raise ValueError("not an id of this kind")
    return uuid.UUID(int=number)


@dataclass(frozen=True)
class IdPrefix:
    """Pydantic annotation: a `UUID` field is a prefixed string in JSON and in OpenAPI."""

    prefix: str

    def __get_pydantic_core_schema__(
        self, _source: object, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def parse(text: str) -> uuid.UUID:
            return decode(self.prefix, text)

        wire_form = core_schema.str_schema(pattern=f"^{self.prefix}_{_PATTERN_BODY}$")
        from_text = core_schema.no_info_after_validator_function(parse, wire_form)
        return core_schema.json_or_python_schema(
            json_schema=from_text,
            python_schema=core_schema.union_schema(
                [core_schema.is_instance_schema(uuid.UUID), from_text], mode="left_to_right"
            ),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: encode(self.prefix, value),
                return_schema=core_schema.str_schema(),
            ),
        )

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: Any) -> dict[str, Any]:
        return {
            "type": "string",
            "pattern": f"^{self.prefix}_{_PATTERN_BODY}$",
            "minLength": len(self.prefix) + 1 + _BODY_LENGTH,
            "maxLength": len(self.prefix) + 1 + _BODY_LENGTH,
            "examples": [f"{self.prefix}_01k9z3v0e8fjt9m2c4r6w8xabc"],
        }


WorkspaceId = Annotated[uuid.UUID, IdPrefix("wsp")]
ApiKeyId = Annotated[uuid.UUID, IdPrefix("key")]
IntegrationId = Annotated[uuid.UUID, IdPrefix("int")]
PartnerId = Annotated[uuid.UUID, IdPrefix("ptn")]
TokenId = Annotated[uuid.UUID, IdPrefix("tok")]
ValidationId = Annotated[uuid.UUID, IdPrefix("val")]
TokenRequestId = Annotated[uuid.UUID, IdPrefix("trq")]
SyncJobId = Annotated[uuid.UUID, IdPrefix("job")]
PartnerUserId = Annotated[uuid.UUID, IdPrefix("usr")]
AssetId = Annotated[uuid.UUID, IdPrefix("ast")]
AuditEventId = Annotated[uuid.UUID, IdPrefix("aud")]
WebhookEndpointId = Annotated[uuid.UUID, IdPrefix("whk")]
WebhookDeliveryId = Annotated[uuid.UUID, IdPrefix("dlv")]
WebhookEventId = Annotated[uuid.UUID, IdPrefix("msg")]
