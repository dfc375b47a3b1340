"""`/openapi.json`, and `/docs` to read and try the operations: a page that fetches nothing else."""

import asyncio
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from partner_connector.web.html import guarded

router = APIRouter(include_in_schema=False)

_PAGE = (Path(__file__).parent / "reference.html").read_text(encoding="utf-8")
_HEADERS = guarded(_PAGE)


@router.get("/docs")
async def get_reference() -> HTMLResponse:
    """Whole in one file: it works where no other host can be reached."""
    return HTMLResponse(_PAGE, headers=_HEADERS)


@router.api_route("/openapi.json", methods=["GET", "HEAD"])
async def get_document(request: Request) -> JSONResponse:
    """Return the document. The first request builds it in a thread: it takes half a second."""
    return JSONResponse(await asyncio.to_thread(request.app.openapi))
