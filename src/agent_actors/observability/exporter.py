"""Exports spans by OTLP when OpenTelemetry's standard variables name a collector."""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from fastapi.telemetry import TelemetryConfig
from opentelemetry.trace import TracerProvider

from agent_actors.errors import StartupError
from agent_actors.observability import tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider as SdkProvider

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
NOT_TRACED = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})
"""Routes that probes and scrapers request every few seconds."""
FLUSH_TIME = 3.0
"""Seconds to send the last spans when the service stops."""
_EXTRA = "opentelemetry.exporter.otlp.proto.http"


@dataclass(frozen=True, slots=True)
class Traces:
    """Where the spans of an app go.

    `given` is the caller's provider. `own` is one that this process has made and shuts down.
    """

    given: TracerProvider | None = None
    own: "SdkProvider | None" = None

    @classmethod
    def of(cls, given: TracerProvider | None, version: str) -> "Traces":
        """Uses the given provider, else that of `make_provider`."""
        return cls(given) if given is not None else cls(own=make_provider(version))

    @property
    def provider(self) -> TracerProvider | None:
        """The provider in use, if any."""
        return self.given or self.own

    @property
    def request_telemetry(self) -> TelemetryConfig:
        """FastAPI's telemetry: one span per request, without its content."""
        return {
            "tracing": self.provider is not None,
            "tracer_provider": self.provider,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
            "exclude": lambda scope: scope.get("path") in NOT_TRACED,
        }

    @asynccontextmanager
    async def exported(self) -> AsyncIterator[None]:
        """Exports spans during the block, and sends the last ones at its end."""
        tracing.use(self.provider)
        try:
            yield
        finally:
            tracing.use(None)
            if self.own is not None:
                await _shut_down(self.own)


def make_provider(version: str) -> "SdkProvider | None":
    """A provider that sends spans to the collector from its own thread; None without a collector.

    Sampling, the service's name and the exporter's headers follow the standard variables, too.
    Raises `StartupError` if the extra `otel` is not installed, or a variable is invalid.
    """
    variable = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    if variable is None or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    try:
        installed = find_spec(_EXTRA) is not None
    except ModuleNotFoundError:  # One of its parent packages is missing.
        installed = False
    if not installed:
        raise StartupError(
            f"{variable} is set, but the exporter is not installed: run"
            " `.venv/bin/pip install -e '.[otel]'`, or unset the variable."
        )
    from agent_actors.observability.otel_sdk import provider

    return provider(variable, version)


def require_usable(version: str) -> None:
    """Checks the variables by making a provider and shutting it down; sends nothing."""
    provider = make_provider(version)
    if provider is not None:
        provider.shutdown()


async def _shut_down(provider: "SdkProvider") -> None:
    """Sends the last spans, for at most `FLUSH_TIME`.

    In a daemon thread, since the SDK blocks for as long as its batches take.
    """
    loop, sent = asyncio.get_running_loop(), asyncio.Event()

    def shut_down() -> None:
        provider.shutdown()
        with suppress(RuntimeError):  # The loop is closed by now.
            loop.call_soon_threadsafe(sent.set)

    threading.Thread(target=shut_down, name="last spans", daemon=True).start()
    try:
        async with asyncio.timeout(FLUSH_TIME):
            await sent.wait()
    except TimeoutError:
        log.warning("the last spans were not sent within %g s", FLUSH_TIME)
