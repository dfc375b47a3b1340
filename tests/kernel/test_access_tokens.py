"""What people paste, and the token in it."""

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
def test_what_comes_along_while_copying_is_trimmed(pasted: str) -> None:
    """White space at the edges, quotes of any kind and `Bearer ` are no part of the token."""
    assert canonical(pasted) == TOKEN


@pytest.mark.parametrize("token", ["x" * 20, "x" * 2048, "2965389650414399|" + "a-_.B9" * 4])
def test_tokens_of_every_form(token: str) -> None:
    """20 to 2048 characters of Meta's alphabet, the app token's `|` included."""
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
def test_what_is_no_token(pasted: str, code: str) -> None:
    """Whatever else it is is refused by its kind, without a word of what was pasted."""
    with pytest.raises(MalformedToken) as caught:
        canonical(pasted)
    assert caught.value.code == code
    assert TOKEN[:10] not in f"{caught.value!r} {caught.value} {caught.value.detail}"


@given(st.text(max_size=60))
def test_a_token_is_final(pasted: str) -> None:
    """What was made canonical stays as it is when it is read again."""
    try:
        token = canonical(pasted)
    except MalformedToken:
        return
    assert canonical(token) == token
