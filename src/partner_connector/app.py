"""The API: the composition root of the process that faces the internet.

Nothing that is imported from here reaches Meta's Graph API or a private key.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from partner_connector import __version__
from partner_connector.api import ROUTERS
from partner_connector.context import ApiContext
from partner_connector.database import open_database
from partner_connector.error_handlers import install_error_handlers
from partner_connector.middleware import BodyLimitMiddleware, RequestContextMiddleware
from partner_connector.openapi import build_document
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from partner_connector.webhooks.published import describe


def create_app(settings: Settings, keyring: PublicKeyring) -> FastAPI:
    """The whole API for these settings. Opens the database when it starts, closes it at its end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = open_database(settings)
        context = ApiContext.build(settings, database, keyring)
        app.state.context = context
        watches = [
            asyncio.create_task(context.key_usage.watch(database)),
            asyncio.create_task(context.job_watch.watch(database, context.draining)),
        ]
        try:
            yield
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
            await context.key_usage.write(database)
            context.queue.close()
            await database.close()

    app = FastAPI(
        title="Partner Connector",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url="/openapi.json",
        docs_url="/docs",
        redoc_url=None,
    )
    for router in ROUTERS:
        app.include_router(router)
    describe(app.webhooks)
    install_error_handlers(app)
    # The last one added is the outermost.
    app.add_middleware(BodyLimitMiddleware)
    app.add_middleware(RequestContextMiddleware)
    document = build_document(app)

    def openapi() -> dict[str, Any]:
        return document

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to replace it
    return app
