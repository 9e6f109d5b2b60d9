"""Where spans go: to a collector by OTLP, where OpenTelemetry's standard variables name one."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry.trace import TracerProvider

from agent_actors import tracing
from agent_actors.errors import StartupError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider as SdkProvider

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
NOT_TRACED = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})
"""Routes that are asked every few seconds, by nobody who follows a turn."""
FLUSH = 5_000
"""Milliseconds that the last spans get at a stop."""
_EXTRA = "opentelemetry.exporter.otlp.proto.http"
_LOGGERS = (
    f"{_EXTRA}.trace_exporter",
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.sdk._shared_internal",
)


@dataclass(frozen=True, slots=True)
class Traces:
    """The spans of one service.

    `own` is the provider that this process has made, and ends; `given` is somebody else's.
    """

    given: TracerProvider | None = None
    own: "SdkProvider | None" = None

    @classmethod
    def of(cls, given: TracerProvider | None, version: str) -> "Traces":
        """The given provider, else the standard variables' collector, else none.

        Raises:
            StartupError: The extra `otel` is not installed.
        """
        return cls(given) if given is not None else cls(own=exporting(version))

    @property
    def provider(self) -> TracerProvider | None:
        """Where spans go, if anywhere."""
        return self.given or self.own

    @property
    def of_requests(self) -> TelemetryConfig:
        """What FastAPI traces by itself: the span of a request, nothing of what is in it."""
        return {
            "tracing": self.provider is not None,
            "tracer_provider": self.provider,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
            "exclude": _not_traced,
        }

    @asynccontextmanager
    async def collected(self) -> AsyncIterator[None]:
        """While the block lasts there are spans; at its end the last ones are sent."""
        tracing.use(self.provider)
        try:
            yield
        finally:
            tracing.use(None)
            if self.own is not None:
                await asyncio.to_thread(_end, self.own)


def exporting(version: str) -> "SdkProvider | None":
    """A provider whose spans go to the collector, in a thread of its own; None where none is named.

    What is sampled, the service's name and the exporter's headers are the standard variables', too.

    Raises:
        StartupError: The extra `otel` is not installed.
    """
    named = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    if named is None or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if not _installed():
        raise StartupError(
            f"{named} is set, and what sends traces is not installed:"
            " `pip install 'agent-actors[otel]'`, or unset it."
        )
    return _provider(version)


def _not_traced(scope: MutableMapping[str, Any]) -> bool:
    return scope.get("path") in NOT_TRACED


def _end(provider: "SdkProvider") -> None:
    if not provider.force_flush(FLUSH):
        log.warning("the last spans were not sent within %d s", FLUSH // 1_000)
    provider.shutdown()


def _installed() -> bool:
    try:
        return find_spec(_EXTRA) is not None
    except ModuleNotFoundError:  # Not even a package above it.
        return False


def _provider(version: str) -> "SdkProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_Once())
    said = Resource.create({SERVICE_VERSION: version})
    if str(said.attributes[SERVICE_NAME]).startswith("unknown_service"):
        said = said.merge(Resource({SERVICE_NAME: "agent-actors"}))
    provider = TracerProvider(resource=said, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class _Once(logging.Filter):
    """A collector that is away is said once, not for every batch."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets the first record of each kind through."""
        first = record.msg not in self._said
        self._said.add(record.msg)
        return first
