"""`/v1/problems`."""

from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import HTMLResponse
from pydantic import Field

from partner_connector.api.system.problem_page import html, when
from partner_connector.errors import catalogue
from partner_connector.web.html import guarded
from partner_connector.web.schemas import Answer

PAGE_SCHEMA = {"type": "string", "maxLength": 100_000}

router = APIRouter(prefix="/v1/problems", tags=["Problems"])


class ProblemKind(Answer):
    """One kind of problem."""

    code: str = Field(max_length=64, description="Stable.", examples=["not_found"])
    type: str = Field(
        max_length=200, description="Where it is explained.", examples=["/v1/problems#not_found"]
    )
    status: int = Field(ge=400, le=599, description="Of the answer.", examples=[404])
    title: str = Field(max_length=200, description="In a few words.", examples=["Not found"])
    when: str = Field(
        max_length=1000,
        description="When it happens.",
        examples=["There is no such thing in this workspace."],
    )
    description: str = Field(
        max_length=1000,
        description="What it means and what to do.",
        examples=["There is no such thing in this workspace."],
    )


class ProblemCatalogue(Answer):
    """Every kind of problem that an answer can carry."""

    items: list[ProblemKind] = Field(max_length=500)
    next_cursor: None = Field(description="Always null: the list is short.")


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
    """No key needed. `code` is stable; new ones may be added. A browser, which asks for
    `text/html`, gets a page on which each code is an anchor: where a problem's `type` leads to.
    """
    if "text/html" in accept.lower():
        page = html()
        return HTMLResponse(page, headers=guarded(page) | {"Vary": "Accept"})
    response.headers["Vary"] = "Accept"
    items = [
        ProblemKind.of(kind, type=f"/v1/problems#{kind.code}", when=when(kind))
        for kind in catalogue()
    ]
    return ProblemCatalogue(items=items, next_cursor=None)
