"""Traces: one trace follows a turn from its route to its last consumer.

The only module that uses OpenTelemetry's API; `exporter` and `otel_sdk` set its SDK up. Without a
provider tracing is off, and each function here only checks a variable.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context
from typing import Literal

from opentelemetry import trace
from opentelemetry.context import Context as Parent
from opentelemetry.context import attach
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, Tracer, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Kind = Literal["internal", "client", "producer", "consumer"]
Value = str | int | float | bool

_KINDS = {
    "internal": SpanKind.INTERNAL,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}
_NO_SPAN: AbstractContextManager[None] = nullcontext()
_HEADER = "traceparent"
# Not the global propagator, which also carries baggage and anything else that is configured.
_w3c = TraceContextTextMapPropagator()
_tracer: Tracer | None = None


def use(provider: TracerProvider | None) -> None:
    """Sends spans to a provider from now on; None switches tracing off."""
    global _tracer
    _tracer = None if provider is None else provider.get_tracer("agent-actors")


def enabled() -> bool:
    """Whether tracing is on; check it before computing attributes that cost something."""
    return _tracer is not None


def span(
    name: str,
    kind: Kind = "internal",
    attributes: Mapping[str, Value] | None = None,
    *,
    parent: str | None = None,
    links: Sequence[str] = (),
) -> AbstractContextManager[Span | None]:
    """Wraps the block in a span of the current trace; None while off, or if it is not sampled.

    The name is one of a small set, and attributes are ids and numbers, never message text. `parent`
    is the `traceparent` of a message, in place of the current trace; `links` are those of other
    traces that the block works on. An exception marks the span as failed with the exception's type,
    without its text, which may quote a message (I13).
    """
    if _tracer is None or (parent is None and _dropped()):
        return _NO_SPAN
    return _spanned(_tracer, name, kind, attributes, _parent(parent), links)


def _dropped() -> bool:
    """Whether our sampler dropped the current trace, so that no more spans need to be made.

    The decision of another process (`is_remote`) does not count: our sampler makes its own.
    """
    current = trace.get_current_span()
    context = current.get_span_context()
    sampled = context.trace_flags.sampled or current.is_recording()
    return context.is_valid and not context.is_remote and not sampled


@contextmanager
def _spanned(
    tracer: Tracer,
    name: str,
    kind: Kind,
    attributes: Mapping[str, Value] | None,
    parent: Parent | None,
    links: Sequence[str],
) -> Iterator[Span]:
    with (
        tracer.start_as_current_span(
            name,
            context=parent,
            kind=_KINDS[kind],
            attributes=attributes,
            links=[
                Link(trace.get_current_span(linked).get_span_context())
                for linked in map(_parent, links)
                if linked is not None
            ],
            record_exception=False,
            set_status_on_exception=False,
        ) as current,
        _FailureMark(),
    ):
        yield current


class _FailureMark:
    """Marks the current span as failed if the block raises; a cancellation is not a failure."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, Exception):
            mark_failed(type(error).__name__)


def mark_failed(error_type: str) -> None:
    """Marks the current span as failed; `error_type` is one of a small set."""
    if _tracer is not None:
        current = trace.get_current_span()
        current.set_status(Status(StatusCode.ERROR))
        current.set_attribute("error.type", error_type)


def set_attributes(attributes: Mapping[str, Value]) -> None:
    """Adds attributes to the current span."""
    if _tracer is not None:
        trace.get_current_span().set_attributes(attributes)


def headers() -> Mapping[str, str]:
    """Headers that make the receiver of a request join this trace; empty while off."""
    carried: dict[str, str] = {}
    if _tracer is not None:
        _w3c.inject(carried)
    return carried


def traceparent() -> str | None:
    """The `traceparent` of the current span, for a message; None while off."""
    return headers().get(_HEADER)


def resume(
    name: str, given: str, attributes: Mapping[str, Value]
) -> AbstractContextManager[Span | None]:
    """Continues the trace of a saved `traceparent`.

    The block gets a span of that trace, with a link to the current span. There is no span if the
    `traceparent` is invalid, or is the current span itself.
    """
    parent = None if _tracer is None else _parent(given)
    if _tracer is None or parent is None or _span_ids(parent) == _span_ids(None):
        return _NO_SPAN
    return _spanned(_tracer, name, "internal", attributes, parent, [traceparent() or ""])


def _span_ids(context: Parent | None) -> tuple[int, int]:
    found = trace.get_current_span(context).get_span_context()
    return found.trace_id, found.span_id


def join(given: str | None) -> AbstractContextManager[Span | None]:
    """Makes the block part of the trace of a `traceparent`, if that is valid."""
    parent = None if _tracer is None else _parent(given)
    if parent is None:
        return _NO_SPAN
    return trace.use_span(
        trace.get_current_span(parent), record_exception=False, set_status_on_exception=False
    )


def task_context() -> Context:
    """An empty context for a task that still belongs to the current trace."""
    context = Context()
    if _tracer is not None:
        context.run(attach, trace.set_span_in_context(trace.get_current_span()))
    return context


def trace_id() -> str | None:
    """The current trace's id, as in W3C's header: 32 hexadecimal digits."""
    if _tracer is None:
        return None
    current = trace.get_current_span().get_span_context()
    return trace.format_trace_id(current.trace_id) if current.is_valid else None


def _parent(given: str | None) -> Parent | None:
    """The context of a `traceparent`; None if it is invalid."""
    if given is None:
        return None
    parent = _w3c.extract({_HEADER: given}, context=Parent())
    return parent if trace.get_current_span(parent).get_span_context().is_valid else None
