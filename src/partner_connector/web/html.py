"""Security headers of the HTML pages, each of which is complete in one file."""

import base64
import hashlib
import re


def security_headers(page: str) -> dict[str, str]:
    """Return headers that allow only the page's own script and style, and calls to this origin."""
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
