"""Request and response schemas that several features share."""

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
    """Base of responses. Every member is always present; an unknown value is null."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)

    @classmethod
    def of(cls, row: object, **derived: Any) -> Self:
        """Return the view of a row, with attributes of the row for all members not in `derived`."""
        stored = {name: getattr(row, name) for name in cls.model_fields.keys() - derived.keys()}
        return cls(**stored, **derived)


class Body(BaseModel):
    """Base of request bodies. An undocumented member is refused, not ignored."""

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )


def rfc3339(value: datetime) -> str:
    """Return the time in the form of all responses: RFC 3339, UTC, with milliseconds."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("outside of the calendar") from None


def _text_of_instant(value: object) -> object:
    """Refuse anything but RFC 3339, because Pydantic would also read numbers as times."""
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
# In a request, a time must have an offset from UTC.
RequestInstant = Annotated[
    AwareDatetime,
    BeforeValidator(_text_of_instant),
    AfterValidator(_in_utc),
    # An example far in the future, for members that must be in the future.
    _instant_schema("2099-12-31T00:00:00.000Z"),
]

# A count fits into 32 bits. Int64 has a limit of 53 bits, up to which JavaScript is exact.
Count = Annotated[int, Field(ge=0, le=2147483647)]
Int64 = Annotated[int, Field(le=2**53 - 1, json_schema_extra={"format": "int64"})]

MetaId = Annotated[
    str, Field(pattern=r"^[0-9]{1,32}$", max_length=32, examples=["1029384756102938"])
]

# Meta's name of a task or a permission.
TaskName = Annotated[str, Field(max_length=100, examples=["ADVERTISE"])]


def open_enum(*values: str, description: str) -> Any:
    """Return a field for a string with an open list of values: callers must accept new values."""
    return Field(
        max_length=64,
        pattern=r"^[a-z][a-z0-9_]*$",
        description=f"{description} New values may be added: accept an unknown value.",
        examples=[values[0]],
        json_schema_extra={"x-extensible-enum": list(values)},
    )


class HealthReason(Answer):
    """Reason why an integration or a token needs attention now or soon."""

    code: str = Field(max_length=64, description="The stable code.", examples=["token_expired"])
    detail: str = Field(
        max_length=2000, description="What was found.", examples=["The token has expired."]
    )
    remedy: str | None = Field(
        max_length=2000,
        description="What to do about it.",
        examples=["The partner's admin generates a new token and hands it over."],
    )


# Long enough for a cursor that contains a name of 500 characters in any script.
MAX_CURSOR_LENGTH = 4096


NextCursor = Annotated[
    str | None,
    Field(
        max_length=MAX_CURSOR_LENGTH,
        pattern=r"^[A-Za-z0-9_\-]+$",
        description="Send it as `cursor` to get the next page. Null on the last page.",
        examples=[None],
    ),
]


class Page(BaseModel):
    """Page of a list. Subclasses add `items`."""

    next_cursor: NextCursor
