"""What must work for this process to serve."""

import structlog
from sqlalchemy.exc import SQLAlchemyError

from partner_connector.db.engine import Database
from partner_connector.db.revisions import is_at_head
from partner_connector.errors import ServiceUnavailable

log = structlog.get_logger()


class NotReady(ServiceUnavailable):
    """This process cannot serve now."""

    code = "not_ready"
    title = "Not ready"
    description = "This process cannot serve now; `detail` names the checks that fail."


async def failing_checks(database: Database) -> list[str]:
    """Names of what does not work now; the sealing key was loaded at the start."""
    try:
        # A reading session: on SQLite any other would wait for whoever writes.
        async with database.reading() as session:
            at_head = await (await session.connection()).run_sync(is_at_head)
    except (SQLAlchemyError, OSError) as error:
        log.warning("readiness_failed", error=type(error).__name__)
        return ["database"]
    return [] if at_head else ["migrations"]
