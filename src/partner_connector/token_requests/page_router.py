"""`/connect`: the page that a link leads to. It is the same for everybody and holds no code.

The code stands in the link's fragment, which no browser sends; the page's script hands it to the
operations of the partner's side. Only that script may run, and it may speak to us alone.
"""

import base64
import hashlib
import re
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_PAGE = (Path(__file__).parent / "connect.html").read_text(encoding="utf-8")


def _hash_of(tag: str) -> str:
    (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", _PAGE, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src {_hash_of('script')}; style-src {_hash_of('style')}; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "Referrer-Policy": "no-referrer",
}


@router.get("/connect")
async def get_connect_page() -> HTMLResponse:
    """Any number of times: looking at it is no event."""
    return HTMLResponse(_PAGE, headers=_HEADERS)
