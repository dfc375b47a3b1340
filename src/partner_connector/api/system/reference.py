"""`/openapi.json`, and `/docs`, a page on which people read and try the operations."""

import asyncio
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from partner_connector.web.html import security_headers

router = APIRouter(include_in_schema=False)

_PAGE = (Path(__file__).parent / "reference.html").read_text(encoding="utf-8")
_HEADERS = security_headers(_PAGE)


@router.get("/docs")
async def get_reference() -> HTMLResponse:
    """Return the page. It is complete in one file, so it works without access to other hosts."""
    return HTMLResponse(_PAGE, headers=_HEADERS)


@router.api_route("/openapi.json", methods=["GET", "HEAD"])
async def get_document(request: Request) -> JSONResponse:
    """Return the document. The first request builds it in a thread: it takes half a second."""
    return JSONResponse(await asyncio.to_thread(request.app.openapi))
