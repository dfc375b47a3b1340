"""`/livez` and `/readyz` for load balancers. They need no key and reveal no version or host."""

from fastapi import APIRouter

from partner_connector.db.revisions import failing_checks
from partner_connector.errors import ServiceUnavailable
from partner_connector.web.dependencies import ContextDep
from partner_connector.web.schemas import Answer, open_enum

router = APIRouter(tags=["Health"])


class NotReady(ServiceUnavailable):
    """A readiness check fails: the database, its schema, or the process is about to stop."""

    code = "not_ready"
    title = "The process is not ready"
    description = (
        "Send requests to another process until `/readyz` returns `200`. `detail` names the "
        "checks that fail."
    )


class Health(Answer):
    """Result of a health check that passed. A check that fails returns a problem instead."""

    status: str = open_enum("ok", description="The result of the check.")


@router.get("/livez", operation_id="getLiveness", summary="Check that the process is alive")
async def get_liveness() -> Health:
    """Return `ok` while the process can answer requests. Use it as the liveness check of a
    container: restart the process when this operation does not answer. It needs no API key and
    does not use the database.
    """
    return Health(status="ok")


@router.get("/readyz", operation_id="getReadiness", summary="Check that the process is ready")
async def get_readiness(context: ContextDep) -> Health:
    """Return `ok` when the process can serve requests. Use it in a load balancer to choose the
    processes that receive requests. It needs no API key. It returns `503` and names the checks
    that fail when the database cannot be reached or is not migrated, or the process will stop soon.
    """
    if context.draining.is_set():
        raise NotReady("The process will stop soon. Send requests to another one.", retry_after=5)
    failing = await failing_checks(context.database)
    if failing:
        raise NotReady(f"These checks fail: {', '.join(failing)}.", retry_after=5)
    return Health(status="ok")
