"""Traces: a turn from its route to its last consumer is one trace. Off until somebody listens.

The only module that speaks OpenTelemetry's API; `tracing_export` sets its SDK up. While it is off,
each function here is one look at a variable.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context
from typing import Literal

from opentelemetry import trace
from opentelemetry.context import Context as Parent
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
# Not the global one: that carries baggage, too, and whatever else the process has set up.
_w3c = TraceContextTextMapPropagator()
_tracer: Tracer | None = None


def use(provider: TracerProvider | None) -> None:
    """From now on spans go to a provider; None: there are none."""
    global _tracer
    _tracer = None if provider is None else provider.get_tracer("agent-actors")


def on() -> bool:
    """Whether somebody listens; for what costs something to say."""
    return _tracer is not None


def span(
    name: str,
    kind: Kind = "internal",
    attributes: Mapping[str, Value] | None = None,
    *,
    parent: str | None = None,
    links: Sequence[str] = (),
) -> AbstractContextManager[Span | None]:
    """What happens in the block, as a span of the trace that runs here; None while off or left out.

    An exception ends it as failed, with its type and without its text, which may hold what people
    said.

    Args:
        name: Of a bounded set.
        kind: As OpenTelemetry's `SpanKind`.
        attributes: Ids and numbers; nothing that was said.
        parent: A `traceparent` that came with a message, in place of the trace that runs here.
        links: Those of others that the block works on.
    """
    if _tracer is None or (parent is None and _left_out()):
        return _NO_SPAN
    return _spanned(_tracer, name, kind, attributes, _parent(parent), links)


def _left_out() -> bool:
    """Did the sampler leave out the trace that runs here? Then its further spans need not be made.

    Another process's decision (`is_remote`) is for our sampler to judge.
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
            links=[link for link in map(_link, links) if link is not None],
            record_exception=False,
            set_status_on_exception=False,
        ) as current,
        _Failing(),
    ):
        yield current


class _Failing:
    """A block whose exception is the failure of the span that runs here; a cancellation is none."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, Exception):
            failed(type(error).__name__)


def failed(error_type: str) -> None:
    """The span that runs here failed; `error_type` is of a bounded set."""
    if _tracer is not None:
        current = trace.get_current_span()
        current.set_status(Status(StatusCode.ERROR))
        current.set_attribute("error.type", error_type)


def note(attributes: Mapping[str, Value]) -> None:
    """Adds to the span that runs here."""
    if _tracer is not None:
        trace.get_current_span().set_attributes(attributes)


def headers() -> Mapping[str, str]:
    """What a request carries so that its receiver joins this trace; empty while off."""
    carried: dict[str, str] = {}
    if _tracer is not None:
        _w3c.inject(carried)
    return carried


def traceparent() -> str | None:
    """The same for a message that has only that field."""
    return headers().get(_HEADER)


def resumed(
    name: str, given: str, attributes: Mapping[str, Value]
) -> AbstractContextManager[Span | None]:
    """The block goes on in the trace of a `traceparent` that was kept, if it is one.

    As a span of that trace, with a link to what runs here; none where that has kept it.
    """
    parent = None if _tracer is None else _parent(given)
    if _tracer is None or parent is None or _place(parent) == _place(None):
        return _NO_SPAN
    return _spanned(_tracer, name, "internal", attributes, parent, [traceparent() or ""])


def _place(context: Parent | None) -> tuple[int, int]:
    found = trace.get_current_span(context).get_span_context()
    return found.trace_id, found.span_id


@contextmanager
def _joined(parent: Parent) -> Iterator[None]:
    with trace.use_span(
        trace.get_current_span(parent), record_exception=False, set_status_on_exception=False
    ):
        yield


def joined(given: str | None) -> AbstractContextManager[None]:
    """The block belongs to the trace of a `traceparent`, if it is one."""
    parent = None if _tracer is None else _parent(given)
    return _NO_SPAN if parent is None else _joined(parent)


def fresh() -> Context:
    """An empty context, for a task of its own that still belongs to the trace that runs here."""
    context = Context()
    if _tracer is not None:
        context.run(_attach, trace.get_current_span())
    return context


def trace_id() -> str | None:
    """The id of the trace that runs here, as in W3C's header: 32 hexadecimal digits."""
    if _tracer is None:
        return None
    current = trace.get_current_span().get_span_context()
    return trace.format_trace_id(current.trace_id) if current.is_valid else None


def _attach(current: Span) -> None:
    from opentelemetry.context import attach

    attach(trace.set_span_in_context(current))


def _parent(given: str | None) -> Parent | None:
    """The context of a `traceparent`; None where it is none: a stranger's is ignored."""
    if given is None:
        return None
    parent = _w3c.extract({_HEADER: given}, context=Parent())
    return parent if trace.get_current_span(parent).get_span_context().is_valid else None


def _link(given: str) -> Link | None:
    parent = _parent(given)
    return None if parent is None else Link(trace.get_current_span(parent).get_span_context())
