"""`/v1/problems`."""

from fastapi import APIRouter
from pydantic import Field

from partner_connector.errors import catalogue
from partner_connector.schemas import Answer

router = APIRouter(prefix="/v1/problems", tags=["Problems"])


class ProblemKind(Answer):
    """One kind of problem."""

    code: str = Field(max_length=64, description="Stable.", examples=["not_found"])
    type: str = Field(
        max_length=200, description="Where it is explained.", examples=["/v1/problems#not_found"]
    )
    status: int = Field(ge=400, le=599, description="Of the answer.", examples=[404])
    title: str = Field(max_length=200, description="In a few words.", examples=["Not found"])
    description: str = Field(
        max_length=1000,
        description="What it means and what to do.",
        examples=["There is no such thing in this workspace."],
    )


class ProblemCatalogue(Answer):
    """Every kind of problem that an answer can carry."""

    items: list[ProblemKind] = Field(max_length=500)
    next_cursor: None = Field(description="Always null: the list is short.")


@router.get("", operation_id="listProblems", summary="List every kind of problem")
async def list_problems() -> ProblemCatalogue:
    """No key needed. `code` is stable; new ones may be added."""
    items = [
        ProblemKind(
            code=kind.code,
            type=f"/v1/problems#{kind.code}",
            status=kind.status,
            title=kind.title,
            description=kind.description,
        )
        for kind in catalogue()
    ]
    return ProblemCatalogue(items=items, next_cursor=None)
