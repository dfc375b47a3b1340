"""Ids: a UUID inside, a prefixed string outside."""

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from partner_connector.ids import PartnerId, decode, encode, new_id

GOOD = "ptn_01k9z3v0e8fjt9m2c4r6w8xabc"


class Holder(BaseModel):
    """A model with an id, as the API's are."""

    id: PartnerId


@given(st.uuids())
def test_round_trip(value: uuid.UUID) -> None:
    """Every UUID has one string, and the string leads back to it."""
    text = encode("ptn", value)
    assert len(text) == 30
    assert decode("ptn", text) == value
    assert Holder.model_validate({"id": text}).id == value
    assert json.loads(Holder(id=value).model_dump_json()) == {"id": text}


@given(st.uuids(), st.uuids())
def test_strings_sort_as_uuids_do(one: uuid.UUID, other: uuid.UUID) -> None:
    """The order of the strings is the order of the ids, and so of the time they were made."""
    assert (one < other) == (encode("ptn", one) < encode("ptn", other))


@given(st.text(max_size=40))
def test_no_text_crashes(text: str) -> None:
    """Any other text is refused by a `ValueError`, or is the one string of an id."""
    try:
        value = decode("ptn", text)
    except ValueError:
        return
    assert encode("ptn", value) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ptn_",
        GOOD[:-1],
        GOOD + "0",
        GOOD.upper(),
        GOOD.replace("ptn", "int"),
        GOOD[4:],
        "ptn" + GOOD[4:],
        "ptn_8" + "z" * 25,
        "ptn_z" + "0" * 25,
        "ptn_i" + GOOD[5:],
        "ptn_0l" + GOOD[6:],
        "ptn_0o" + GOOD[6:],
        "ptn_0u" + GOOD[6:],
        GOOD + "\n",
        " " + GOOD,
        "ptn_ptn_" + GOOD[8:],
        str(uuid.UUID(int=1)),
    ],
)
def test_what_is_no_partner_id(text: str) -> None:
    """Another prefix, length or alphabet, or more than 128 bits, is no id of this kind."""
    with pytest.raises(ValueError, match=r"not an id of this kind|substring not found"):
        decode("ptn", text)
    with pytest.raises(ValidationError):
        Holder.model_validate_json(json.dumps({"id": text}))


def test_the_largest_id() -> None:
    """All 128 bits fit, and not one more."""
    largest = "ptn_7" + "z" * 25
    assert decode("ptn", largest) == uuid.UUID(int=2**128 - 1)


def test_new_ids_are_sorted_by_time() -> None:
    """Ids made one after the other are version 7, differ and sort in that order."""
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(set(ids))
    assert {value.version for value in ids} == {7}
