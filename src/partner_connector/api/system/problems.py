"""`/v1/problems`: the catalogue of problems."""

from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import HTMLResponse
from pydantic import Field

from partner_connector.api.system.problem_page import html, when
from partner_connector.errors import catalogue
from partner_connector.web.html import security_headers
from partner_connector.web.schemas import Answer

PAGE_SCHEMA = {"type": "string", "maxLength": 100_000}

router = APIRouter(prefix="/v1/problems", tags=["Problems"])


class ProblemKind(Answer):
    """Kind of problem that an operation can return."""

    code: str = Field(
        max_length=64,
        description="The stable code, as in `code` of a problem.",
        examples=["not_found"],
    )
    type: str = Field(
        max_length=200, description="The URL of its page.", examples=["/v1/problems#not_found"]
    )
    status: int = Field(ge=400, le=599, description="The HTTP status.", examples=[404])
    title: str = Field(
        max_length=200, description="What is wrong.", examples=["The resource does not exist"]
    )
    when: str = Field(
        max_length=1000,
        description="When the problem happens.",
        examples=["The request body is larger than 64 KiB."],
    )
    description: str = Field(
        max_length=1000,
        description="What to do next.",
        examples=["Send a smaller body. The limit is 64 KiB."],
    )


class ProblemCatalogue(Answer):
    """List of every kind of problem."""

    items: list[ProblemKind] = Field(max_length=500)
    next_cursor: None = Field(description="Always null, because the list has one page.")


@router.get(
    "",
    operation_id="listProblems",
    summary="List every kind of problem",
    response_model=ProblemCatalogue,
    responses={200: {"content": {"text/html": {"schema": PAGE_SCHEMA}}}},
)
async def list_problems(
    response: Response, accept: Annotated[str, Header(include_in_schema=False)] = ""
) -> ProblemCatalogue | HTMLResponse:
    """Return every kind of problem with its stable `code`, when it happens and what to do next. Use
    it to look up a `code`. It needs no API key, and new codes may be added. A browser, which asks
    for `text/html`, gets a page with an anchor for each code: a problem's `type` links there.
    """
    if "text/html" in accept.lower():
        page = html()
        return HTMLResponse(page, headers=security_headers(page) | {"Vary": "Accept"})
    response.headers["Vary"] = "Accept"
    items = [
        ProblemKind.of(kind, type=f"/v1/problems#{kind.code}", when=when(kind))
        for kind in catalogue()
    ]
    return ProblemCatalogue(items=items, next_cursor=None)
