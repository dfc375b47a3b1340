"""`/metrics`, for Prometheus; on the API's port unless `METRICS_PORT` moves it."""

from fastapi import APIRouter, Response

from partner_connector.telemetry import metrics

router = APIRouter(include_in_schema=False)


@router.get("/metrics", operation_id="getMetrics")
async def get_metrics() -> Response:
    """What this process counted, and what it last saw of the deployment."""
    return Response(metrics.exposition(), media_type=metrics.CONTENT_TYPE)
