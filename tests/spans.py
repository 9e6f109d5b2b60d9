"""Spans that a test looks at."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Sampler

from agent_actors.observability import tracing


class Spans:
    """What was recorded."""

    def __init__(self, sampler: Sampler = DEFAULT_ON) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def all_named(self, name: str) -> list[ReadableSpan]:
        """The spans of that name that have ended."""
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def named(self, name: str) -> ReadableSpan:
        """The one span of that name."""
        (found,) = self.all_named(name)
        return found


@pytest.fixture
def spans(request: pytest.FixtureRequest) -> Iterator[Spans]:
    """Somebody who listens; its parameter, if any, says to what."""
    spans = Spans(getattr(request, "param", DEFAULT_ON))
    tracing.use(spans.provider)
    yield spans
    tracing.use(None)
    spans.provider.shutdown()


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id
