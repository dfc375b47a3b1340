"""Structured logs: one event name and its fields per line, for our own code and for libraries.

Two rules keep secrets out. Code logs ids, never objects. A processor redacts every text that looks
like a token of Meta or one of our keys.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import Processor

from partner_connector.settings import Settings

_SECRET_SHAPES = re.compile(
    r"EAA[A-Za-z0-9_\-]{16,}|(?:pck|trc)_[0-9a-z]+_[0-9A-Za-z]+|\d{5,}\|[\w\-]{16,}"
    r"|whsec_[A-Za-z0-9+/=]{16,}"
)
# Fields that the Graph client adds to an event. Fields of other libraries are dropped as unknown.
_GRAPH_FIELDS = ("asked", "served", "edge", "attempt", "code", "delay", "error")
_QUIET_LIBRARIES = (
    "httpx",
    "httpcore",
    "aiosqlite",
    "alembic",
    "asyncio",
    "dbos",
    "uvicorn.access",
)


def _redact(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, dict):
        return {_redact(key): _redact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redact(item) for item in value]
    # The renderer would convert any other type to text, so convert it before redacting.
    return _SECRET_SHAPES.sub("[redacted]", value if isinstance(value, str) else repr(value))


def redact_secrets(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Redact tokens and keys in an event. This is the last processor before rendering."""
    return {key: _redact(value) for key, value in event.items()}


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Send all logs to `stream` (standard output by default) in the configured format."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact_secrets,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(allow=_GRAPH_FIELDS), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for name in _QUIET_LIBRARIES:
        library = logging.getLogger(name)
        # Some libraries add their own handler if they find none.
        library.handlers = [logging.NullHandler()]
        library.propagate = True
        library.setLevel(logging.WARNING)
