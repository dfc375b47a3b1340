"""`/livez` and `/readyz`, for load balancers: no key, no version, no host names."""

from fastapi import APIRouter, Response
from pydantic import Field

from partner_connector.dependencies import ContextDep
from partner_connector.health.service import failing_checks
from partner_connector.schemas import Answer

router = APIRouter(tags=["Health"])


class Health(Answer):
    """Whether this process can serve."""

    status: str = Field(max_length=16, examples=["ok"])
    failing: list[str] = Field(
        max_length=10, description="Names of the checks that fail.", examples=[[]]
    )


@router.get("/livez", operation_id="getLiveness", summary="Is the process alive?")
async def get_liveness() -> Health:
    """Depends on nothing: restart the process when this does not answer."""
    return Health(status="ok", failing=[])


@router.get(
    "/readyz",
    operation_id="getReadiness",
    summary="Can the process serve?",
    responses={503: {"model": Health, "description": "Not now."}},
)
async def get_readiness(context: ContextDep, response: Response) -> Health:
    """Database reachable and migrated to head."""
    failing = await failing_checks(context.database)
    if failing:
        response.status_code = 503
    return Health(status="failing" if failing else "ok", failing=failing)
