"""Spans: off without a provider, and never with the text of a message."""

import asyncio

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, DEFAULT_OFF, ParentBased
from opentelemetry.trace import SpanKind, StatusCode, TraceFlags

from agent_actors.background import Background
from agent_actors.observability import tracing
from tests.spans import Spans, id_of, parent_of, spans

__all__ = ["spans"]

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{PARENT}-01"


def test_tracing_is_off_without_a_provider():
    """There is no span, no header and no id."""
    with (
        tracing.span("a", parent=GIVEN) as span,
        tracing.join(GIVEN),
        tracing.resume("b", GIVEN, {}),
    ):
        tracing.mark_failed("x")
        tracing.set_attributes({"n": 1})

        assert (span, dict(tracing.headers()), tracing.traceparent()) == (None, {}, None)
        assert (tracing.enabled(), tracing.trace_id()) == (False, None)


def test_spans_nest(spans: Spans):
    """A span within a span is its child, with its own kind and attributes."""
    with tracing.span("outer"), tracing.span("inner", "client", {"n": 1}):
        pass

    inner = spans.named("inner")
    assert parent_of(inner) == id_of(spans.named("outer"))
    assert (inner.kind, dict(inner.attributes or {})) == (SpanKind.CLIENT, {"n": 1})


def test_an_error_is_named_without_its_text(spans: Spans):
    """The text of an exception may quote a message."""
    with pytest.raises(LookupError), tracing.span("a"):
        raise LookupError("my secret")

    span = spans.named("a")
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {}) == {"error.type": "LookupError"}
    assert "secret" not in span.to_json()


def test_a_cancellation_is_no_error(spans: Spans):
    """A cancelled span has no error status."""
    with pytest.raises(asyncio.CancelledError), tracing.span("a"):
        raise asyncio.CancelledError

    assert spans.named("a").status.status_code is StatusCode.UNSET


def test_a_trace_travels(spans: Spans):
    """The sender's span is the parent of the receiver's."""
    with tracing.span("sent") as sent:
        told = tracing.traceparent()
        assert sent is not None
        assert told is not None
        assert tracing.trace_id() == told.split("-")[1]
    with tracing.span("taken", parent=told), tracing.span("below"):
        pass

    assert parent_of(spans.named("taken")) == id_of(spans.named("sent"))
    assert parent_of(spans.named("below")) == id_of(spans.named("taken"))


def test_a_joined_block_has_no_span_of_its_own(spans: Spans):
    """Its spans are children of the given span; after the block there is no trace."""
    with tracing.join(GIVEN):
        assert tracing.traceparent() == GIVEN
        with tracing.span("a"):
            pass

    assert f"{parent_of(spans.named('a')):016x}" == PARENT
    assert tracing.trace_id() is None


@pytest.mark.parametrize(
    "told", ["", "no trace", "00-0-0-01", f"00-{'0' * 32}-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01"]
)
def test_an_invalid_traceparent_is_ignored(spans: Spans, told: str):
    """It starts no trace and raises nothing."""
    with tracing.join(told), tracing.span("joined"):
        pass
    with tracing.span("a", parent=told, links=[told]):
        pass

    assert parent_of(spans.named("joined")) is None
    assert (parent_of(spans.named("a")), spans.named("a").links) == (None, ())


def test_a_batch_is_linked_to_the_others(spans: Spans):
    """It has one parent, and links to the traces of its other events."""
    other = f"00-{'1' * 32}-{PARENT}-01"
    with tracing.span("batch", parent=GIVEN, links=[other]):
        pass

    (link,) = spans.named("batch").links
    assert f"{link.context.trace_id:032x}" == "1" * 32


async def test_a_fresh_context_keeps_the_trace_only(spans: Spans):
    """A task with it belongs to the trace; background work starts a trace of its own."""

    async def work(name: str) -> None:
        with tracing.span(name):
            pass

    background = Background("work failed")
    with tracing.span("outer"):
        await asyncio.create_task(work("fresh"), context=tracing.task_context())
        await background.begin(work("background"))

    assert parent_of(spans.named("fresh")) == id_of(spans.named("outer"))
    assert parent_of(spans.named("background")) is None


def test_a_fresh_context_is_empty_otherwise():
    """While tracing is off it is empty: nothing of the caller is inherited (rule 7)."""
    assert not tracing.task_context()


def test_a_saved_trace_is_resumed(spans: Spans):
    """The block continues the saved trace, with a link to the current span."""
    with tracing.span("here") as here, tracing.resume("again", GIVEN, {"n": 1}):
        assert tracing.trace_id() == TRACE

    assert here is not None
    (again,) = spans.all_named("again")
    assert (parent_of(again), dict(again.attributes or {})) == (int(PARENT, 16), {"n": 1})
    assert [link.context.span_id for link in again.links] == [here.get_span_context().span_id]


@pytest.mark.parametrize("given", ["", "no trace"])
def test_nothing_is_resumed_without_a_saved_trace(spans: Spans, given: str):
    """The block stays in the current trace."""
    with tracing.span("here"), tracing.resume("again", given, {}):
        pass

    assert spans.all_named("again") == []


def test_the_current_span_is_not_resumed(spans: Spans):
    """It has not ended, so no span is put in between."""
    with tracing.span("here"), tracing.resume("again", tracing.traceparent() or "", {}):
        pass

    assert spans.all_named("again") == []


def test_another_turn_of_the_same_trace_is_resumed(spans: Spans):
    """A caller may send several messages in one trace: each turn stays below its own request."""
    with tracing.span("caller"):
        with tracing.span("first") as first:
            pass
        with tracing.span("second"):
            kept = tracing.traceparent() or ""
        assert first is not None
        with tracing.join(tracing.traceparent()), tracing.resume("again", kept, {}):
            pass

    assert parent_of(spans.named("again")) == id_of(spans.named("second"))


@pytest.mark.parametrize("spans", [DEFAULT_OFF], indirect=True)
def test_a_dropped_trace_makes_no_more_spans(spans: Spans):
    """Only the first span asks the sampler; those below it keep its header."""
    with tracing.span("first") as first:
        told = tracing.traceparent()
        with tracing.span("second") as second:
            assert tracing.traceparent() == told

    assert first is not None
    assert second is None
    assert told is not None
    assert int(told[-2:], 16) & TraceFlags.SAMPLED == 0


@pytest.mark.parametrize(
    "spans", [ParentBased(ALWAYS_OFF, remote_parent_sampled=ALWAYS_ON)], indirect=True
)
def test_an_event_is_sampled_on_its_own(spans: Spans):
    """Inside a dropped trace the sampler still decides about the trace of an event."""
    with tracing.span("dropped"), tracing.span("event", parent=GIVEN):
        pass

    assert parent_of(spans.named("event")) == int(PARENT, 16)


@pytest.mark.parametrize("spans", [ALWAYS_ON], indirect=True)
def test_another_process_does_not_decide_for_our_sampler(spans: Spans):
    """A trace that the caller dropped is recorded if our sampler takes everything."""
    with tracing.join(GIVEN.removesuffix("01") + "00"), tracing.span("here"):
        pass

    assert parent_of(spans.named("here")) == int(PARENT, 16)
