"""One trace of a turn, from its route to its last consumer, on each runtime."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.collector import Collector, Span, collector
from tests.e2e.conftest import SETTINGS, Launch
from tests.e2e.service import AnyService, environment, eventually

__all__ = ["collector"]

SAID = "The-quick-brown-fox"
A_TURN = {
    "POST /chat/{actor_id}",
    "ChatAgent/ProcessMessage",
    "ChatAgent.process_message",
    "ResponseAgent/ProcessMessage",
    "ResponseAgent.process_message",
    "MemoryAgentActor/Recall",
    "MemoryAgentActor.recall",
    "invoke_agent agent-actors",
    "send user-chat",
    "process user-chat",
    "MemoryAgentActor/UpdateMemory",
    "MemoryAgentActor.update_memory",
    "UserSessionActor/AddExchanges",
    "UserSessionActor.add_exchanges",
    "AnalyticsActor/CountTurns",
    "AnalyticsActor.count_turns",
}
PARKED = {"ChatAgent/CompleteTurn", "ChatAgent.complete_turn"}
THE_MODEL, RESUMED = "invoke_agent agent-actors", "resume turn"
ENDED = {"POST /chat/{actor_id}", THE_MODEL, "send user-chat", "process user-chat"}
CALLER = "4bf92f3577b34da6a3ce929d0e0e4736"


async def traced(
    collector: Collector, service: AnyService, names: set[str], traces: int = 1
) -> list[Span]:
    """The spans of the traces that requests to `/chat/` began, once each has the names."""

    def found() -> list[list[Span]]:
        spans = collector.spans
        roots = {span.trace for span in spans if span.name == "POST /chat/{actor_id}"}
        return [[span for span in spans if span.trace == root] for root in roots]

    def there() -> bool:
        whole = [each for each in found() if names <= {span.name for span in each}]
        return len(whole) == traces

    await eventually(there, f"{traces} traces have {names}")
    return [span for each in found() for span in each]


def is_whole(spans: list[Span], root: str = "") -> bool:
    """One trace: every span but the first has its parent in it."""
    ids = {span.id for span in spans}
    starts = [span for span in spans if span.parent not in ids]
    return len({span.trace for span in spans}) == 1 and [span.parent for span in starts] == [root]


async def test_a_turn_is_one_trace(collector: Collector, launch: Launch, tmp_path: Path):
    """From the route over the proxies, the actors, the model and the event to the consumers."""
    async with launch(tmp_path, **SETTINGS) as service:
        await service.reply("ada", SAID)
        spans = await traced(collector, service, A_TURN)

    assert is_whole(spans)
    assert {span.service for span in spans} == {"agent-actors"}
    assert not [span.name for span in spans if span.failed]
    assert not [body for body in collector.bodies if SAID.encode() in body]


async def test_a_parked_turn_is_one_trace(collector: Collector, launch: Launch, tmp_path: Path):
    """Its answer is delivered by the model's task, and belongs to the same trace."""
    async with launch(tmp_path, **SETTINGS) as service:
        await service.reply("ada", "/slow 1")
        spans = await traced(collector, service, A_TURN | PARKED)

    assert is_whole(spans)


async def test_a_turn_that_waits_goes_on_in_its_own_trace(
    collector: Collector, launch: Launch, tmp_path: Path
):
    """Not in that of the turn before it, whose end starts it; that one is linked."""
    no_reminder = SETTINGS | {"recovery_period": 60}
    async with launch(tmp_path, **no_reminder) as service:
        said = [
            await service.say("ada", text, prefer="respond-async") for text in ("/slow 1", SAID)
        ]
        spans = await traced(collector, service, ENDED, traces=2)

    of_turn = {span.attributes["turn.id"]: span.trace for span in spans if span.name == THE_MODEL}
    slow, waited = (of_turn[answer.json()["turn_id"]] for answer in said)
    (resumed,) = [span for span in spans if span.name == RESUMED]
    assert (resumed.trace, resumed.links) == (waited, (slow,))
    for each in (slow, waited):
        assert is_whole([span for span in spans if span.trace == each])


async def test_a_turn_whose_process_was_killed_goes_on_in_its_trace(
    collector: Collector, launch: Launch, tmp_path: Path
):
    """The next process finds its trace beside it, and ends it there."""
    async with launch(tmp_path, **SETTINGS) as service:
        await service.say("ada", "/slow 2", prefer="respond-async")
        before = await traced(collector, service, {"POST /chat/{actor_id}"})
        service.kill()
        await service.start()
        spans = await traced(collector, service, ENDED | {RESUMED})

    assert {span.trace for span in spans} == {span.trace for span in before}
    assert is_whole(spans)


async def test_a_callers_trace_goes_on(collector: Collector, launch: Launch, tmp_path: Path):
    """A `traceparent` of the caller is taken, and one that is none is ignored."""
    parent = "00f067aa0ba902b7"
    async with launch(tmp_path, **SETTINGS) as service:
        for user, told in (("eve", "no trace"), ("ada", f"00-{CALLER}-{parent}-01")):
            said = {"role": "user", "content": SAID}
            answer = await service.http.post(
                f"/chat/{user}", json=said, headers={"traceparent": told}
            )
            assert answer.status_code == 200, answer.text
        spans = await traced(collector, service, A_TURN, traces=2)

    assert is_whole([span for span in spans if span.trace == CALLER], parent)
    assert is_whole([span for span in spans if span.trace != CALLER])


async def test_a_failed_model_call_is_marked(collector: Collector, launch: Launch, tmp_path: Path):
    """The span says that it failed and what kind of failure it was, and no more."""
    async with launch(tmp_path, **SETTINGS) as service:
        answer = await service.say("ada", f"/fail {SAID}")
        assert answer.status_code == 502
        spans = await traced(collector, service, {"invoke_agent agent-actors"})

    (call,) = [span for span in spans if span.name == "invoke_agent agent-actors"]
    assert (call.failed, call.attributes["error.type"]) == (True, "The model failed")
    assert not [body for body in collector.bodies if SAID.encode() in body]


async def test_a_collector_that_is_away_harms_nothing(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Turns are answered, the log says it once, and the service stops in time."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    async with launch(tmp_path, **SETTINGS) as service:
        for number in range(3):
            await service.reply("ada", f"{SAID} {number}")
        await eventually(
            lambda: "Failed to export" in service.logged(), "that spans cannot be sent is logged"
        )
        await service.reply("ada", SAID)

    assert service.logged().count("Failed to export") == 1


def test_nothing_is_loaded_that_nobody_wants(tmp_path: Path):
    """Without a collector the SDK of OpenTelemetry is not imported."""
    code = (
        "import sys; from agent_actors import Settings, create_app;"
        " from agent_actors.observability import tracing;"
        f" create_app(Settings(data={str(tmp_path / 'data')!r}));"
        " print([name for name in sys.modules if name.startswith('opentelemetry.sdk')],"
        " tracing.headers(), tracing.traceparent(), tracing.trace_id())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=environment(),
    )

    assert done.stdout.strip() == "[] {} None None"
