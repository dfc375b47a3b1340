"""Ids: UUIDs in the code and the database, prefixed strings in the API."""

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from partner_connector.ids import PartnerId, decode, encode, new_id

GOOD = "ptn_01k9z3v0e8fjt9m2c4r6w8xabc"


class Holder(BaseModel):
    """Model with an id, like the API's schemas."""

    id: PartnerId


@given(st.uuids())
def test_id_decodes_to_same_uuid(value: uuid.UUID) -> None:
    text = encode("ptn", value)
    assert len(text) == 30
    assert decode("ptn", text) == value
    assert Holder.model_validate({"id": text}).id == value
    assert json.loads(Holder(id=value).model_dump_json()) == {"id": text}


@given(st.uuids(), st.uuids())
def test_strings_sort_as_uuids_do(one: uuid.UUID, other: uuid.UUID) -> None:
    """Check that strings sort like their UUIDs, and so by the time of creation."""
    assert (one < other) == (encode("ptn", one) < encode("ptn", other))


@given(st.text(max_size=40))
def test_arbitrary_text_is_refused_or_round_trips(text: str) -> None:
    """Check that only the canonical string of an id is decoded; other text is a `ValueError`."""
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
def test_malformed_partner_id_is_refused(text: str) -> None:
    """Check that another prefix, length or alphabet, or more than 128 bits, is refused."""
    with pytest.raises(ValueError, match=r"not an id of this kind|substring not found"):
        decode("ptn", text)
    with pytest.raises(ValidationError):
        Holder.model_validate_json(json.dumps({"id": text}))


def test_largest_id_is_decoded() -> None:
    largest = "ptn_7" + "z" * 25
    assert decode("ptn", largest) == uuid.UUID(int=2**128 - 1)


def test_new_ids_are_sorted_by_time() -> None:
    """Check that new ids are of version 7, unique, and sorted in the order of their creation."""
    ids = [new_id() for _ in range(1000)]
    assert ids == sorted(set(ids))
    assert {value.version for value in ids} == {7}
