"""Sends spans to a collector, by OTLP over HTTP. Loaded only where one is configured: the libraries
take time and memory, and are the extra `traces`.

Everything else that OpenTelemetry's variables of the environment say counts: headers, sampling,
attributes of the resource.
"""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from partner_connector import __version__
from partner_connector.telemetry import tracing

_NAME = "partner-connector"


def start(endpoint: str) -> None:
    """Collect spans and send them, now and then and when the process ends."""
    resource = Resource.create({SERVICE_NAME: _NAME, SERVICE_VERSION: __version__})
    # Not made the library's global one: others would add spans of theirs, with whole URLs.
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    tracing.collect(provider.get_tracer(_NAME, __version__))
