"""`/connect`: the page that a link leads to. It is the same for everybody and holds no code.

The code stands in the link's fragment, which no browser sends; the page's script hands it to the
operations of the partner's side. Only that script may run, and it may speak to us alone.
"""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from partner_connector.web.html import guarded

router = APIRouter(include_in_schema=False)

_PAGE = (Path(__file__).parent / "connect.html").read_text(encoding="utf-8")
_HEADERS = guarded(_PAGE)


@router.get("/connect")
async def get_connect_page() -> HTMLResponse:
    """Any number of times: looking at it is no event."""
    return HTMLResponse(_PAGE, headers=_HEADERS)
