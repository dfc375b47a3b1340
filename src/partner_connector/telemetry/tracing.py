"""Traces with OpenTelemetry: spans for requests, runs, calls of Meta and messages, if anybody takes
them.

Until `collect` is called every span is nothing and costs next to nothing. Attributes are ids, names
of our own and numbers: never a body, a query or what somebody wrote. What an exception says is no
part of a span, since it may hold anything.
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


class Collected:
    """Where this process has its spans made."""

    tracer: Tracer | None = None


def collect(tracer: Tracer) -> None:
    """From now on spans are made, by this tracer."""
    Collected.tracer = tracer


def is_on() -> bool:
    """Whether anybody takes spans."""
    return Collected.tracer is not None


def traceparent() -> str | None:
    """What continues the present trace elsewhere, as W3C's header; None where there is none."""
    if Collected.tracer is None:
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
    """For as long as the block lasts, within the present span or, where one is given, the parent.

    A parent is a `traceparent`; what is none is no parent.
    """
    if Collected.tracer is None:
        yield INVALID_SPAN
        return
    within = _WIRE.extract({_HEADER: parent}) if parent else current.get_current()
    with Collected.tracer.start_as_current_span(
        name,
        within,
        kind,
        {key: value for key, value in attributes.items() if value != ""},
        record_exception=False,
        set_status_on_exception=False,
    ) as made:
        try:
            yield made
        except BaseException as error:
            made.set_attribute("error.type", type(error).__name__)
            made.set_status(StatusCode.ERROR)
            raise
