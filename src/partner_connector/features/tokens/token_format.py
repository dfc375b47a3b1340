"""Format of an access token as people paste it.

The API (for a token in clear) and the worker (for a token that the client sealed) both use
`canonical`, so that both refuse the same texts.
"""

import re

_TOKEN = re.compile(r"^[A-Za-z0-9_\-.|]{20,2048}$")


_QUOTES = "\"'`\u201c\u201d\u2018\u2019"


class MalformedToken(ValueError):
    """The pasted text cannot be an access token. Carries a stable code, never the text."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def canonical(pasted: str) -> str:
    """Return the token without white space, quotes and `Bearer ` around it.

    Raises `MalformedToken` if the rest is not one unbroken token.
    """
    token, before = pasted, ""
    while token != before:
        before = token
        token = token.strip().strip(_QUOTES)
        if token[:7].lower() == "bearer ":
            token = token[7:]
    if not token:
        raise MalformedToken("token_empty", "The token is empty.")
    if re.search(r"\s", token):
        raise MalformedToken(
            "token_has_white_space",
            "The token has white space inside. It was probably cut or joined while copying.",
        )
    if not _TOKEN.match(token):
        raise MalformedToken(
            "token_malformed",
            "This is not an access token: 20 to 2048 letters, digits and _ - . | are expected.",
        )
    return token
