"""API keys: their format, their checksum and their keyed hash."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_connector import credentials

PEPPER = b"p" * 32


def test_key_has_documented_format_and_is_unique() -> None:
    """Check that a key is `pck_`, its id, 43 base62 digits of secret and 6 of checksum, and is
    unique.
    """
    minted = [credentials.mint(PEPPER) for _ in range(200)]
    for key in minted:
        assert re.fullmatch(r"pck_[0-9a-z]{12}_[0-9A-Za-z]{49}", key.secret)
        assert credentials.key_id_of(key.secret) == key.key_id
    assert len({key.secret for key in minted}) == len({key.key_id for key in minted}) == 200


def test_token_request_code_is_not_accepted_as_key() -> None:
    """Check that the code of a token request has the format of a key, but another prefix."""
    code, key = credentials.mint(PEPPER, credentials.CODE_PREFIX), credentials.mint(PEPPER)
    assert re.fullmatch(r"trc_[0-9a-z]{12}_[0-9A-Za-z]{49}", code.secret)
    assert credentials.key_id_of(code.secret, credentials.CODE_PREFIX) == code.key_id
    assert credentials.key_id_of(code.secret) is None
    assert credentials.key_id_of(key.secret, credentials.CODE_PREFIX) is None


def test_mistyped_key_is_refused_without_database() -> None:
    """Check that a changed, missing, added or swapped character anywhere breaks the checksum."""
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
def test_arbitrary_text_is_not_a_key(text: str) -> None:
    """Check that any text is refused without an exception."""
    assert credentials.key_id_of(text) is None
    assert not credentials.matches(text.encode("utf-8", "replace").decode(), "0" * 64, PEPPER)


@pytest.mark.parametrize("key", ["", "pck", "pck__", "pck_" + "a" * 12 + "_" + "\u0661" * 49])
def test_malformed_key_is_refused(key: str) -> None:
    """Check that a key that is too short, or has digits of another script, is refused."""
    assert credentials.key_id_of(key) is None


def test_stored_digest_depends_on_pepper() -> None:
    """Check that the digest matches only its key with its pepper, and does not contain the key."""
    minted = credentials.mint(PEPPER)
    assert credentials.matches(minted.secret, minted.digest, PEPPER)
    assert not credentials.matches(minted.secret, minted.digest, b"q" * 32)
    assert not credentials.matches(credentials.mint(PEPPER).secret, minted.digest, PEPPER)
    assert re.fullmatch("[0-9a-f]{64}", minted.digest)
    assert minted.key_id not in minted.digest


def test_repr_of_new_key_hides_secret() -> None:
    """Check that the `repr` of a new key shows only its public half."""
    minted = credentials.mint(PEPPER)
    assert minted.secret not in repr(minted)
    assert minted.digest not in f"{minted}"
    assert minted.key_id in repr(minted)


def test_no_scope_reads_tokens() -> None:
    """Check that the scopes are those of the contract, and none of them reads tokens."""
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
