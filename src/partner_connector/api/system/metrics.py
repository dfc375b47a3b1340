"""`/metrics` for Prometheus, on the API's port unless `METRICS_PORT` sets another port."""

from fastapi import APIRouter, Response

from partner_connector.telemetry import metrics

router = APIRouter(include_in_schema=False)


@router.get("/metrics", operation_id="getMetrics")
async def get_metrics() -> Response:
    """Return the counters of this process and its last measurement of the deployment."""
    return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)
