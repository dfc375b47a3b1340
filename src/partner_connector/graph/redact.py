"""Keep tokens and addresses out of texts that people and logs will see."""

import re
from collections.abc import Iterable
from urllib.parse import quote

HIDDEN = "****"
_LONGEST_TEXT = 500

# Meta repeats what it was given ("Malformed access token EAAB…"), so its texts are not to be
# trusted even where we know which token we sent: a proxy or a redirect may name another one.
_SUSPECTS = (
    re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE),
    re.compile(r"\bgraph\.facebook\.com\S*", re.IGNORECASE),
    re.compile(r"\b\w*(?:token|secret|proof)=[^\s&]+", re.IGNORECASE),
    re.compile(r"\b\d{5,}\|\S+"),
    re.compile(r"\bEA[A-Za-z0-9]{12,}"),
    re.compile(r"[\w|.-]{40,}"),
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without the given secrets, without anything that looks like one, and short."""
    for secret in secrets:
        for form in (secret, quote(secret, safe="")):
            text = text.replace(form, HIDDEN) if form else text
    for suspect in _SUSPECTS:
        text = suspect.sub(HIDDEN, text)
    return text[:_LONGEST_TEXT]
