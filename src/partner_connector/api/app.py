"""The API application: it builds and connects all parts of the process that serves requests.

Nothing that this module imports can call Meta's Graph API or read a private key.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from partner_connector import __version__
from partner_connector.api.openapi import openapi_document
from partner_connector.api.routes import ROUTERS
from partner_connector.api.system.metrics import router as metrics
from partner_connector.db import state_metrics
from partner_connector.db.engine import open_database
from partner_connector.db.state_metrics import REFRESH_SECONDS
from partner_connector.durable.periodic import Periodic, running
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from partner_connector.web.context import ApiContext
from partner_connector.web.error_handlers import install_error_handlers
from partner_connector.web.key_usage import WRITE_SECONDS
from partner_connector.web.middleware import (
    BodyLimitMiddleware,
    CrashMiddleware,
    RequestContextMiddleware,
)

CORS_ALLOW_HEADERS = [
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
    "X-Request-Id",
    "traceparent",
]
CORS_EXPOSE_HEADERS = [
    "Content-Disposition",
    "Deprecation",
    "ETag",
    "Idempotent-Replayed",
    "Link",
    "Location",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Sunset",
    "X-Request-Id",
]


def create_app(settings: Settings, keyring: PublicKeyring) -> FastAPI:
    """Return the API for these settings. It opens the database at startup and closes it at exit."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = open_database(settings)
        context = ApiContext.build(settings, database, keyring)
        app.state.context = context
        write = partial(context.key_usage.write, database)
        key_usage = Periodic("key_usage", WRITE_SECONDS, write, at_once=False)
        refresh_gauges = partial(state_metrics.refresh_gauges, database)
        watching = asyncio.create_task(context.job_watch.watch(database, context.stopping))
        try:
            async with running(
                key_usage, Periodic("state_metrics", REFRESH_SECONDS, refresh_gauges)
            ):
                yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await key_usage.run_once()
            context.queue.close()
            await database.close()

    app = FastAPI(
        title="Partner Connector",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        # `system.reference` serves the document, and a page that needs no other host.
        openapi_url=None,
        # FastAPI's spans and logs would contain full URLs and texts of exceptions: see `tracing`.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for router in ROUTERS:
        # `include_router` would match every request against each router, and the right one twice.
        app.router.routes.extend(router.routes)
    if settings.metrics_port is None:
        app.router.routes.extend(metrics.routes)
    install_error_handlers(app)
    # The middleware that is added last is the outermost.
    app.add_middleware(BodyLimitMiddleware)
    # Inside the CORS middleware, so that a page of an allowed origin can read a `500`.
    app.add_middleware(CrashMiddleware)
    if settings.browser_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.browser_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=CORS_ALLOW_HEADERS,
            expose_headers=CORS_EXPOSE_HEADERS,
        )
    app.add_middleware(RequestContextMiddleware)
    # FastAPI documents this way to replace the document.
    app.openapi = openapi_document  # type: ignore[method-assign]
    return app
