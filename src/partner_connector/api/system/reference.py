"""`/docs`: the operations, to be read and tried. It fetches `/openapi.json` and nothing else."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from partner_connector.web.html import guarded

router = APIRouter(include_in_schema=False)

_PAGE = (Path(__file__).parent / "reference.html").read_text(encoding="utf-8")
_HEADERS = guarded(_PAGE)


@router.get("/docs")
async def get_reference() -> HTMLResponse:
    """Whole in one file: it works where no other host can be reached."""
    return HTMLResponse(_PAGE, headers=_HEADERS)
