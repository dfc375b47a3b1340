"""`/connect`: the page that the link of a token request opens. It is the same for every link.

The link's code is in the URL's fragment, which a browser never sends. The script of the page sends
the code to the hand-over operations. No other script can run, and it can call this service only.
"""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from partner_connector.web.html import security_headers

router = APIRouter(include_in_schema=False)

_PAGE = (Path(__file__).parent / "connect.html").read_text(encoding="utf-8")
_HEADERS = security_headers(_PAGE)


@router.get("/connect")
async def get_connect_page() -> HTMLResponse:
    """Return the page. Opening it does not change the token request."""
    return HTMLResponse(_PAGE, headers=_HEADERS)
