"""Normalization of pasted access tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_connector.features.tokens.token_format import MalformedToken, canonical

TOKEN = "EAABsbCS1iHgBO0made0up0for0these0tests0only"


@pytest.mark.parametrize(
    "pasted",
    [
        TOKEN,
        f"  {TOKEN}\t",
        f"\n{TOKEN}\r\n",
        f'"{TOKEN}"',
        f"'{TOKEN}'",
        f"`{TOKEN}`",
        f"\u201c{TOKEN}\u201d",
        f"\u2018{TOKEN}\u2019",
        f' " {TOKEN} " ',
        f"Bearer {TOKEN}",
        f"bearer   {TOKEN}",
        f'"Bearer {TOKEN}"',
        f'Bearer "{TOKEN}"',
        f"\u00a0{TOKEN}\u00a0",
    ],
)
def test_quotes_white_space_and_bearer_are_removed(pasted: str) -> None:
    """Check that outer white space, quotes of any kind and `Bearer ` are not part of the token."""
    assert canonical(pasted) == TOKEN


@pytest.mark.parametrize("token", ["x" * 20, "x" * 2048, "2965389650414399|" + "a-_.B9" * 4])
def test_well_formed_token_is_accepted(token: str) -> None:
    """Check that the limits are 20 and 2048 characters of Meta's alphabet, with the app token's
    `|`.
    """
    assert canonical(token) == token


@pytest.mark.parametrize(
    ("pasted", "code"),
    [
        ("", "token_empty"),
        (" \n ", "token_empty"),
        ('""', "token_empty"),
        (f"{TOKEN} {TOKEN}", "token_has_white_space"),
        (f"{TOKEN[:10]}\n{TOKEN[10:]}", "token_has_white_space"),
        (f"{TOKEN[:10]}\u00a0{TOKEN[10:]}", "token_has_white_space"),
        ("x" * 19, "token_malformed"),
        ("x" * 2049, "token_malformed"),
        (f"{TOKEN}\u00e9", "token_malformed"),
        (f"{TOKEN}\x00", "token_malformed"),
        (f"access_token={TOKEN}", "token_malformed"),
        (f'{{"access_token":"{TOKEN}"}}', "token_malformed"),
        (f"{TOKEN}\u200b{TOKEN}", "token_malformed"),
    ],
)
def test_malformed_token_is_refused_with_code(pasted: str, code: str) -> None:
    """Check that each kind of mistake has its code, and the error shows no pasted text."""
    with pytest.raises(MalformedToken) as caught:
        canonical(pasted)
    assert caught.value.code == code
    assert TOKEN[:10] not in f"{caught.value!r} {caught.value} {caught.value.detail}"


@given(st.text(max_size=60))
def test_normalization_is_idempotent(pasted: str) -> None:
    try:
        token = canonical(pasted)
    except MalformedToken:
        return
    assert canonical(token) == token
