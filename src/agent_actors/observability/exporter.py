"""Where spans go: to a collector by OTLP, where OpenTelemetry's standard variables name one."""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fastapi.telemetry import TelemetryConfig
from opentelemetry.trace import TracerProvider

from agent_actors.errors import StartupError
from agent_actors.observability import tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider as SdkProvider

log = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
NOT_TRACED = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})
"""Routes that are asked every few seconds, by nobody who follows a turn."""
LAST = 3.0
"""Seconds that the last spans get at a stop."""
_EXTRA = "opentelemetry.exporter.otlp.proto.http"


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
                await _ended(self.own)


def exporting(version: str) -> "SdkProvider | None":
    """A provider whose spans go to the collector, in a thread of its own; None where none is named.

    What is sampled, the service's name and the exporter's headers are the standard variables', too.

    Raises:
        StartupError: The extra `otel` is not installed, or a variable is not of its form.
    """
    named = collector()
    if named is None:
        return None
    from agent_actors.observability.otel_sdk import provider

    return provider(named, version)


def require_usable(version: str) -> None:
    """Makes what a start makes of the variables, and ends it; nothing is sent.

    Raises:
        StartupError: As `exporting`.
    """
    made = exporting(version)
    if made is not None:
        made.shutdown()


def collector() -> str | None:
    """The variable that names a collector, where one does and spans are not switched off.

    Raises:
        StartupError: The extra `otel` is not installed.
    """
    named = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    if named is None or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if not _installed():
        raise StartupError(
            f"{named} is set, and what sends traces is not installed:"
            " `.venv/bin/pip install -e '.[otel]'`, or unset it."
        )
    return named


def _not_traced(scope: MutableMapping[str, Any]) -> bool:
    return scope.get("path") in NOT_TRACED


async def _ended(provider: "SdkProvider") -> None:
    """Has the last spans sent, and returns then, or when their time is over.

    In a thread that nobody waits for at the end: the SDK tries as long as its batches take.
    """
    loop, sent = asyncio.get_running_loop(), asyncio.Event()

    def end() -> None:
        provider.shutdown()
        with suppress(RuntimeError):  # The loop has gone meanwhile.
            loop.call_soon_threadsafe(sent.set)

    threading.Thread(target=end, name="last spans", daemon=True).start()
    try:
        async with asyncio.timeout(LAST):
            await sent.wait()
    except TimeoutError:
        log.warning("the last spans were not sent within %g s", LAST)


def _installed() -> bool:
    try:
        return find_spec(_EXTRA) is not None
    except ModuleNotFoundError:  # Not even a package above it.
        return False
