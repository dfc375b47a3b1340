"""Export of spans to a collector, by OTLP over HTTP.

Loaded only if a collector is configured: the libraries need time and memory, and come with the
extra `traces`. OpenTelemetry's other environment variables apply: headers, sampling and resource
attributes.
"""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from partner_connector import __version__
from partner_connector.telemetry import tracing

_NAME = "partner-connector"


def start(endpoint: str) -> None:
    """Start collecting spans. They are sent in batches, and at the end of the process."""
    resource = Resource.create({SERVICE_NAME: _NAME, SERVICE_VERSION: __version__})
    # Not the global provider: other libraries would add spans with whole URLs.
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    tracing.collect(provider.get_tracer(_NAME, __version__))
