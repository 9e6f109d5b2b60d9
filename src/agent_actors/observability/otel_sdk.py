"""Sets up OpenTelemetry's SDK. Imported only when a collector is named: the SDK is an extra."""

import logging
import os

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from agent_actors.errors import StartupError
from agent_actors.forms.url import is_address

SENDERS = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.sdk._shared_internal",
)
"""Loggers that report every batch that could not be sent."""
READERS = ("opentelemetry.trace.span", "opentelemetry.trace.propagation.tracecontext")
"""Loggers that repeat the headers of a request."""
QUERY = "url.query"


def provider(variable: str, version: str) -> TracerProvider:
    """A provider that sends spans to the variable's collector from a thread of its own.

    Raises `StartupError` if a standard variable is invalid.
    """
    if not is_address(os.environ[variable]):
        raise StartupError(f"{variable} is not a collector's URL such as http://localhost:4318")
    for name in SENDERS:
        logging.getLogger(name).addFilter(OncePerMessage())
    for name in READERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        resource = Resource.create({SERVICE_VERSION: version})
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: "agent-actors"}))
        made = TracerProvider(resource=resource, shutdown_on_exit=False)
        made.add_span_processor(QueryRedactor())
        made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ValueError as error:
        raise StartupError(f"An OTEL_… variable is invalid: {error}") from None
    return made


class QueryRedactor(SpanProcessor):
    """Keeps the query of a URL out of spans: a careless client puts a token there."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        """Replaces the query that FastAPI has set."""
        if span.attributes and QUERY in span.attributes:
            span.set_attribute(QUERY, "REDACTED")


class OncePerMessage(logging.Filter):
    """Lets each message through once, so that an unreachable collector is not logged per batch.

    Exceptions are replaced by their types: their text has the collector's URL, maybe with a key.
    """

    def __init__(self) -> None:
        super().__init__()
        self._logged: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this is the first record with its message."""
        first = record.msg not in self._logged
        self._logged.add(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(
                type(each).__name__ if isinstance(each, Exception) else each for each in record.args
            )
        return first
