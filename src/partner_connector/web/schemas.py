"""The few shapes that several features share on the wire."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

_RFC3339 = re.compile(r"^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$")


class Answer(BaseModel):
    """A response. Every member is always present; what is not known is null."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)

    @classmethod
    def of(cls, row: object, **derived: Any) -> Self:
        """Return the view of a row: members that are not given are attributes of the row."""
        stored = {name: getattr(row, name) for name in cls.model_fields.keys() - derived.keys()}
        return cls(**stored, **derived)


class Body(BaseModel):
    """A request body. A member that is not documented is refused, not ignored."""

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )


def rfc3339(value: datetime) -> str:
    """An instant as every answer writes it."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("outside of the calendar") from None


def _text_of_instant(value: object) -> object:
    """Pydantic also reads numbers as times; the contract says RFC 3339 and nothing else."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _RFC3339.match(value):
        raise ValueError("not an RFC 3339 time")
    return value


def _instant_schema(example: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "format": "date-time", "maxLength": 40, "examples": [example]}
    )


Instant = Annotated[
    datetime, PlainSerializer(rfc3339, return_type=str), _instant_schema("2026-11-24T09:30:00.000Z")
]
# One that a caller gives: it must say its offset.
GivenInstant = Annotated[
    AwareDatetime,
    BeforeValidator(_text_of_instant),
    AfterValidator(_in_utc),
    # Still to come for a long time, for what has to be.
    _instant_schema("2099-12-31T00:00:00.000Z"),
]

# A count fits into 32 bits. Greater numbers stay exact in JavaScript, which has 53 for them.
Count = Annotated[int, Field(ge=0, le=2147483647)]
Int64 = Annotated[int, Field(le=2**53 - 1, json_schema_extra={"format": "int64"})]

MetaId = Annotated[
    str, Field(pattern=r"^[0-9]{1,32}$", max_length=32, examples=["1029384756102938"])
]

# What Meta calls a task or a permission.
TaskName = Annotated[str, Field(max_length=100, examples=["ADVERTISE"])]


def open_enum(*values: str, description: str) -> Any:
    """A string that has known values today; clients must expect others tomorrow."""
    return Field(
        max_length=64,
        pattern=r"^[a-z][a-z0-9_]*$",
        description=f"{description} Treat an unknown value as “something new”, not as an error.",
        examples=[values[0]],
        json_schema_extra={"x-extensible-enum": list(values)},
    )


class HealthReason(Answer):
    """Why something needs attention, or soon will."""

    code: str = Field(max_length=64, description="Stable.", examples=["token_expired"])
    detail: str = Field(
        max_length=2000, description="What was seen.", examples=["The token has expired."]
    )
    remedy: str | None = Field(
        max_length=2000,
        description="What can be done about it.",
        examples=["The partner's admin generates a new token and hands it over."],
    )


# Room for a name of 500 characters in any script.
LONGEST_CURSOR = 4096


NextCursor = Annotated[
    str | None,
    Field(
        max_length=LONGEST_CURSOR,
        pattern=r"^[A-Za-z0-9_\-]+$",
        description="Send it as `cursor` for the next page; null on the last one.",
        examples=[None],
    ),
]


class Page(BaseModel):
    """What every list answers beside its `items`."""

    next_cursor: NextCursor
