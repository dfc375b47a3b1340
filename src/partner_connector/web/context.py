"""Dependencies of the API process, built once at startup and passed to every request."""

import asyncio
from dataclasses import dataclass

from partner_connector.db.engine import Database
from partner_connector.db.keyset import CursorCodec
from partner_connector.durable.engine import WorkQueue
from partner_connector.sealing.public import PublicKeyring
from partner_connector.settings import Settings
from partner_connector.web.job_watch import JobWatch
from partner_connector.web.key_usage import KeyUsage
from partner_connector.web.rate_limits import RateLimiter


@dataclass(frozen=True, slots=True)
class ApiContext:
    """Dependencies of the API process. None of them can decrypt a token."""

    settings: Settings
    database: Database
    keyring: PublicKeyring
    queue: WorkQueue
    cursors: CursorCodec
    rate_limiter: RateLimiter
    api_key_pepper: bytes
    key_usage: KeyUsage
    job_watch: JobWatch
    request_code_pepper: bytes
    # Set when the process is asked to stop: readiness fails, and requests are still served.
    draining: asyncio.Event
    # Set after that: requests that wait for work and event streams end at once.
    stopping: asyncio.Event

    @classmethod
    def build(cls, settings: Settings, database: Database, keyring: PublicKeyring) -> "ApiContext":
        """Build the context from settings, database and the public half of the keyring."""
        return cls(
            settings=settings,
            database=database,
            keyring=keyring,
            queue=WorkQueue(settings),
            cursors=CursorCodec(keyring.derive(b"pc-cursors")),
            rate_limiter=RateLimiter(settings.rate_limit),
            api_key_pepper=keyring.derive(b"pc-api-keys"),
            key_usage=KeyUsage(),
            job_watch=JobWatch(),
            request_code_pepper=keyring.derive(b"pc-request-codes"),
            draining=asyncio.Event(),
            stopping=asyncio.Event(),
        )
