"""Pages of ours: whole in one file, and under a policy that lets nothing else in."""

import base64
import hashlib
import re


def guarded(page: str) -> dict[str, str]:
    """The headers of a page: only its own script and style count, and it may speak to us alone."""
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; script-src {_hashes(page, 'script')}; "
            f"style-src {_hashes(page, 'style')}; connect-src 'self'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
        ),
        "Referrer-Policy": "no-referrer",
    }


def _hashes(page: str, tag: str) -> str:
    found = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in found)
    return " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
