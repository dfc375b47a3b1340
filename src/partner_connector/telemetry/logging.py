"""Structured logs: one event name and its fields per line, for our own code and for libraries.

Two walls keep secrets out. Code logs ids, never objects; and whatever looks like one of Meta's
tokens or one of our keys is blotted out of every string on its way to the output.
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
# What the Graph client tells beside an event. Of what other libraries add nothing is known.
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


def _blot(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, dict):
        return {_blot(key): _blot(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_blot(item) for item in value]
    # Whatever else it is would be rendered as text; so it is text from here on.
    return _SECRET_SHAPES.sub("[redacted]", value if isinstance(value, str) else repr(value))


def blot_secrets(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """The last processor before rendering: no token or key leaves in a log line."""
    return {key: _blot(value) for key, value in event.items()}


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Route everything to `stream` (standard output by default) in the configured format."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        blot_secrets,
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
        # Never without one: some give themselves a handler of their own where they find none.
        library.handlers = [logging.NullHandler()]
        library.propagate = True
        library.setLevel(logging.WARNING)
