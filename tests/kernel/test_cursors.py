"""Cursors: encrypted, bound to one list, and exact about the position that they hold."""

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
def test_cursor_decodes_to_same_position(position: list[object]) -> None:
    """Check that decoding returns the same position: ids, times to the microsecond, any text."""
    assert CODEC.decode(CODEC.encode(position, "list"), "list") == position


@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
def test_arbitrary_text_is_refused(cursor: str) -> None:
    """Check that any text that looks like a cursor is refused as an invalid cursor."""
    with pytest.raises(CursorInvalid):
        CODEC.decode(cursor, "list")


def test_cursor_of_other_binding_or_key_is_refused() -> None:
    """Check that a cursor of another list, or of another service's key, is refused."""
    cursor = CODEC.encode([1], "list")
    with pytest.raises(CursorInvalid):
        CODEC.decode(cursor, "another")
    with pytest.raises(CursorInvalid):
        CursorCodec(b"l" * 32).decode(cursor, "list")


def test_cursor_hides_its_position() -> None:
    """Check that the cursor does not reveal its position, and one position has many cursors."""
    secret = uuid.uuid4()
    cursors = {CODEC.encode([secret, "canary-name", datetime.now(UTC)], "list") for _ in range(20)}
    assert len(cursors) == 20
    assert not [cursor for cursor in cursors if "canary" in cursor or secret.hex in cursor]
