"""Cursors: sealed, bound, and exact about the position that they hold."""

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_connector.db.keyset import CursorCodec
from partner_connector.errors import CursorInvalid

CODEC = CursorCodec(b"k" * 32)
POSITIONS = st.lists(
    st.one_of(
        st.uuids(),
        st.datetimes(timezones=st.just(UTC)),
        st.text(st.characters(codec="utf-8"), max_size=100),
        st.integers(min_value=-(2**53), max_value=2**53),
    ),
    max_size=4,
)


@given(POSITIONS)
def test_round_trip(position: list[object]) -> None:
    """Every position comes back as it was: ids, instants to the microsecond, any text."""
    assert CODEC.decode(CODEC.encode(position, "list"), "list") == position


@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
def test_no_text_crashes(cursor: str) -> None:
    """Any text that looks like a cursor is refused in the one way."""
    with pytest.raises(CursorInvalid):
        CODEC.decode(cursor, "list")


def test_a_cursor_is_for_one_binding_and_one_key() -> None:
    """Another list or another service does not read it."""
    cursor = CODEC.encode([1], "list")
    with pytest.raises(CursorInvalid):
        CODEC.decode(cursor, "another")
    with pytest.raises(CursorInvalid):
        CursorCodec(b"l" * 32).decode(cursor, "list")


def test_a_cursor_tells_nothing() -> None:
    """A position cannot be read off its cursor, and one position has many."""
    secret = uuid.uuid4()
    cursors = {CODEC.encode([secret, "canary-name", datetime.now(UTC)], "list") for _ in range(20)}
    assert len(cursors) == 20
    assert not [cursor for cursor in cursors if "canary" in cursor or secret.hex in cursor]
