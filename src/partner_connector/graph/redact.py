"""Redaction of tokens and URLs in texts for people and logs."""

import re
from collections.abc import Iterable
from urllib.parse import quote

HIDDEN = "****"
_MAX_LENGTH = 500

# Meta's messages repeat tokens ("Malformed access token EAAB…"). Removing the token that was sent
# is not enough: after a proxy or a redirect a message may hold another one.
_SECRET_PATTERNS = (
    re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE),
    re.compile(r"\bgraph\.facebook\.com\S*", re.IGNORECASE),
    re.compile(r"\b\w*(?:token|secret|proof)=[^\s&]+", re.IGNORECASE),
    re.compile(r"\b\d{5,}\|\S+"),
    re.compile(r"\bEA[A-Za-z0-9]{12,}"),
    re.compile(r"[\w|.-]{40,}"),
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text without these secrets and without texts that look like secrets or URLs.

    It is cut to 500 characters.
    """
    for secret in secrets:
        for form in (secret, quote(secret, safe="")):
            text = text.replace(form, HIDDEN) if form else text
    for pattern in _SECRET_PATTERNS:
        text = pattern.sub(HIDDEN, text)
    return text[:_MAX_LENGTH]
