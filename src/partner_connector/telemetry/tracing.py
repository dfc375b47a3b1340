"""OpenTelemetry spans for requests, runs, calls to Meta and webhook messages.

Until `collect` is called, spans do nothing and cost almost nothing. Attributes are ids, names from
our code and numbers: never a body, a query or text from a user. A span never holds the text of an
exception, because it may contain a secret.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context as current
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

CLIENT, CONSUMER, INTERNAL, SERVER = (
    SpanKind.CLIENT,
    SpanKind.CONSUMER,
    SpanKind.INTERNAL,
    SpanKind.SERVER,
)
_HEADER = "traceparent"
_WIRE = TraceContextTextMapPropagator()


class ActiveTracer:
    """Tracer of this process; None while tracing is off."""

    tracer: Tracer | None = None


def collect(tracer: Tracer) -> None:
    """Turn on tracing with this tracer."""
    ActiveTracer.tracer = tracer


def is_on() -> bool:
    """Return whether tracing is on."""
    return ActiveTracer.tracer is not None


def traceparent() -> str | None:
    """Return the W3C `traceparent` value of the current span; None without a span or tracing."""
    if ActiveTracer.tracer is None:
        return None
    carrier: dict[str, str] = {}
    _WIRE.inject(carrier)
    return carrier.get(_HEADER)


@contextmanager
def span(
    name: str,
    kind: SpanKind = INTERNAL,
    /,
    *,
    parent: str | None = None,
    **attributes: str | int,
) -> Iterator[Span]:
    """Yield a span that lasts while the block runs, inside the current span or `parent`.

    `parent` is a `traceparent` value; an invalid value is ignored.
    """
    if ActiveTracer.tracer is None:
        yield INVALID_SPAN
        return
    parent_context = _WIRE.extract({_HEADER: parent}) if parent else current.get_current()
    with ActiveTracer.tracer.start_as_current_span(
        name,
        parent_context,
        kind,
        {key: value for key, value in attributes.items() if value != ""},
        record_exception=False,
        set_status_on_exception=False,
    ) as new_span:
        try:
            yield new_span
        except BaseException as error:
            new_span.set_attribute("error.type", type(error).__name__)
            new_span.set_status(StatusCode.ERROR)
            raise
