"""API keys: their shape, their checksum and their keyed hash."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_connector import credentials

PEPPER = b"p" * 32


def test_the_shape_of_a_key() -> None:
    """`pck_`, a key id, 43 base62 digits of secret and 6 of checksum; no two alike."""
    minted = [credentials.mint(PEPPER) for _ in range(200)]
    for key in minted:
        assert re.fullmatch(r"pck_[0-9a-z]{12}_[0-9A-Za-z]{49}", key.secret)
        assert credentials.key_id_of(key.secret) == key.key_id
    assert len({key.secret for key in minted}) == len({key.key_id for key in minted}) == 200


def test_a_code_is_no_key() -> None:
    """The code of a token request has the shape of a key, and neither is taken for the other."""
    code, key = credentials.mint(PEPPER, credentials.CODE_PREFIX), credentials.mint(PEPPER)
    assert re.fullmatch(r"trc_[0-9a-z]{12}_[0-9A-Za-z]{49}", code.secret)
    assert credentials.key_id_of(code.secret, credentials.CODE_PREFIX) == code.key_id
    assert credentials.key_id_of(code.secret) is None
    assert credentials.key_id_of(key.secret, credentials.CODE_PREFIX) is None


def test_a_typing_error_is_found_without_the_database() -> None:
    """One changed, missing, added or exchanged character anywhere breaks the checksum."""
    key = credentials.mint(PEPPER).secret
    for place in range(len(key)):
        other = "A" if key[place] != "A" else "B"
        assert credentials.key_id_of(key[:place] + other + key[place + 1 :]) is None
        assert credentials.key_id_of(key[:place] + key[place + 1 :]) is None
        assert credentials.key_id_of(key[:place] + "0" + key[place:]) is None
    for place in range(16, len(key) - 1):
        if key[place] != key[place + 1]:
            swapped = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
            assert credentials.key_id_of(swapped) is None


@given(st.text(max_size=100))
def test_no_text_crashes(text: str) -> None:
    """Any text at all is a key or is none."""
    assert credentials.key_id_of(text) is None
    assert not credentials.matches(text.encode("utf-8", "replace").decode(), "0" * 64, PEPPER)


@pytest.mark.parametrize("key", ["", "pck", "pck__", "pck_" + "a" * 12 + "_" + "\u0661" * 49])
def test_what_is_no_key(key: str) -> None:
    """Too little, or digits of another script, are no key."""
    assert credentials.key_id_of(key) is None


def test_the_stored_hash_is_keyed() -> None:
    """The digest fits its key under its pepper alone, and does not contain the key."""
    minted = credentials.mint(PEPPER)
    assert credentials.matches(minted.secret, minted.digest, PEPPER)
    assert not credentials.matches(minted.secret, minted.digest, b"q" * 32)
    assert not credentials.matches(credentials.mint(PEPPER).secret, minted.digest, PEPPER)
    assert re.fullmatch("[0-9a-f]{64}", minted.digest)
    assert minted.key_id not in minted.digest


def test_a_new_key_hides_itself() -> None:
    """`repr` of a minted key shows its public half and no more."""
    minted = credentials.mint(PEPPER)
    assert minted.secret not in repr(minted)
    assert minted.digest not in f"{minted}"
    assert minted.key_id in repr(minted)


def test_there_is_no_scope_to_read_tokens() -> None:
    """The scopes are those of the contract: nothing reads a token."""
    assert {str(scope) for scope in credentials.Scope} == {
        "integrations:read",
        "integrations:write",
        "partners:read",
        "partners:write",
        "tokens:write",
        "syncs:read",
        "syncs:run",
        "syncs:approve",
        "users:read",
        "webhooks:read",
        "webhooks:write",
        "audit:read",
        "keys:admin",
    }
