"""OpenTelemetry's SDK, as this service sets it up. Imported only where a collector is named."""

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
"""Loggers that tell of each batch that was not sent."""
READERS = ("opentelemetry.trace.span", "opentelemetry.trace.propagation.tracecontext")
"""Loggers that repeat the headers of a stranger."""
QUERY = "url.query"


def provider(named: str, version: str) -> TracerProvider:
    """A provider whose spans go to the collector, in a thread of its own.

    Args:
        named: The variable that names the collector.
        version: The service's.

    Raises:
        StartupError: A standard variable is not of its form.
    """
    _require_address(named)
    for name in SENDERS:
        logging.getLogger(name).addFilter(Once())
    for name in READERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        said = Resource.create({SERVICE_VERSION: version})
        if str(said.attributes[SERVICE_NAME]).startswith("unknown_service"):
            said = said.merge(Resource({SERVICE_NAME: "agent-actors"}))
        made = TracerProvider(resource=said, shutdown_on_exit=False)
        made.add_span_processor(WithoutQueries())
        made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ValueError as error:
        raise StartupError(f"A variable OTEL_… is not of its form: {error}") from None
    return made


def _require_address(named: str) -> None:
    if not is_address(os.environ[named]):
        raise StartupError(f"{named} is no address of a collector such as http://localhost:4318")


class WithoutQueries(SpanProcessor):
    """What follows `?` in an address stays here: a careless client has a token there."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        """Replaces what FastAPI has noted."""
        if span.attributes and QUERY in span.attributes:
            span.set_attribute(QUERY, "REDACTED")


class Once(logging.Filter):
    """A collector that is away is said once, not for every batch; by the kind of the error only.

    Its text has the address in it, which may have a key.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets the first record of each kind through."""
        first = record.msg not in self._said
        self._said.add(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(
                type(each).__name__ if isinstance(each, Exception) else each for each in record.args
            )
        return first
