"""The API: the composition root of the process that faces the internet.

Nothing that is imported from here reaches Meta's Graph API or a private key.
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
from partner_connector.db.state_metrics import LOOK_SECONDS
from partner_connector.durable.periodic import Periodic, running
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from partner_connector.web.context import ApiContext
from partner_connector.web.error_handlers import install_error_handlers
from partner_connector.web.key_usage import WRITTEN_EVERY_SECONDS
from partner_connector.web.middleware import (
    BodyLimitMiddleware,
    CrashMiddleware,
    RequestContextMiddleware,
)

TAKEN_FROM_PAGES = [
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
TOLD_TO_PAGES = [
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
    """The whole API for these settings. Opens the database when it starts, closes it at its end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = open_database(settings)
        context = ApiContext.build(settings, database, keyring)
        app.state.context = context
        write = partial(context.key_usage.write, database)
        key_usage = Periodic("key_usage", WRITTEN_EVERY_SECONDS, write, at_once=False)
        look = partial(state_metrics.look, database)
        following = asyncio.create_task(context.job_watch.watch(database, context.draining))
        try:
            async with running(key_usage, Periodic("state_metrics", LOOK_SECONDS, look)):
                yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await key_usage.run_once()
            context.queue.close()
            await database.close()

    app = FastAPI(
        title="Partner Connector",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,  # `system.reference` serves the document, and a page without other hosts
        # Its own spans and logs would hold whole URLs and what exceptions say: see `tracing`.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for router in ROUTERS:
        # Side by side: routers that are included are asked one by one, and the right one twice.
        app.router.routes.extend(router.routes)
    if settings.metrics_port is None:
        app.router.routes.extend(metrics.routes)
    install_error_handlers(app)
    # The last one added is the outermost.
    app.add_middleware(BodyLimitMiddleware)
    # Inside of what follows: a page of a named origin may read of a fault of ours, too.
    app.add_middleware(CrashMiddleware)
    if settings.browser_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.browser_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=TAKEN_FROM_PAGES,
            expose_headers=TOLD_TO_PAGES,
        )
    app.add_middleware(RequestContextMiddleware)
    # FastAPI's documented way to replace it.
    app.openapi = openapi_document  # type: ignore[method-assign]
    return app
