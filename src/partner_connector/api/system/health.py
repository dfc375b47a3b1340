"""`/livez` and `/readyz`, for load balancers: no key, no version, no host names."""

from fastapi import APIRouter

from partner_connector.db.revisions import failing_checks
from partner_connector.errors import ServiceUnavailable
from partner_connector.web.dependencies import ContextDep
from partner_connector.web.schemas import Answer, open_enum

router = APIRouter(tags=["Health"])


class NotReady(ServiceUnavailable):
    """This process cannot serve now."""

    code = "not_ready"
    title = "Not ready"
    description = "This process cannot serve now; `detail` names the checks that fail."


class Health(Answer):
    """That this process is well; when it is not, the answer is a problem."""

    status: str = open_enum("ok", description="Whether it is well.")


@router.get("/livez", operation_id="getLiveness", summary="Is the process alive?")
async def get_liveness() -> Health:
    """Depends on nothing: restart the process when this does not answer."""
    return Health(status="ok")


@router.get("/readyz", operation_id="getReadiness", summary="Can the process serve?")
async def get_readiness(context: ContextDep) -> Health:
    """Database reachable and migrated, and not about to end; else a `503` that names what fails."""
    if context.leaving.is_set():
        raise NotReady("The process is about to end.", retry_after=5)
    failing = await failing_checks(context.database)
    if failing:
        raise NotReady(f"Failing: {', '.join(failing)}.", retry_after=5)
    return Health(status="ok")
