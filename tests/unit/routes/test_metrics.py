"""`/metrics` of the whole app: what moves each metric; their number does not grow with users."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from agent_actors.errors import ModelFailed, Unavailable
from agent_actors.model import Model, Prompt
from agent_actors.protocol import wire
from agent_actors.protocol.messages import Reply, Usage
from agent_actors.routes.sidecar import subscriptions
from tests.conftest import Serve, Served
from tests.fakes import FakeRuntime, HeldModel, QuickModel, eventually
from tests.readings import PREFIX, Readings, counted, read
from tests.unit.routes.sidecar.test_events import foreign, ours


async def turn_of(served: Served, user: str, content: str = "hello") -> None:
    """Sends a message and waits until its event is applied."""
    await served.reply(user, content)
    await served.remembered(user, 1)


async def applied(served: Served, number: int) -> None:
    """Waits until this many chat events were counted as applied."""
    labels = {"topic": "user-chat", "result": "applied"}
    counters = served.services.counters
    await eventually(lambda: counted(counters).of("events_total", **labels) >= number)


class Named(Model):
    """Fails, hangs or answers, under a name of its own for each turn."""

    def __init__(self) -> None:
        self.calls = 0

    async def reply(self, prompt: Prompt) -> Reply:
        self.calls += 1
        if prompt.message.content == "fail":
            raise ModelFailed("as it was told")
        if prompt.message.content == "hang":
            await asyncio.Event().wait()
        return Reply("yes", model=f"model of {prompt.user}", usage=Usage(3, 4))


async def test_a_turn_is_counted_all_the_way(serve: Serve):
    """A turn is counted as message, model call, writes and applied event."""
    async with serve(model=Named()) as served:
        await turn_of(served, "ada")
        await applied(served, 1)
        readings = await read(served.http)

    assert readings.of("turns_total", kind="message", outcome="done") == 1
    assert readings.of("turns_total") == 1
    assert readings.of("turn_seconds_count", path="direct") == 1
    assert readings.of("actor_turns_total", method="process_message", result="ok") == 2
    assert readings.of("model_calls_total", model="model of ada", outcome="done") == 1
    assert readings.of("model_seconds_count") == 1
    assert readings.of("tokens_total", direction="input") == 3
    assert readings.of("tokens_total", direction="output") == 4
    assert readings.of("events_total", topic="user-chat", result="applied") == 1
    assert readings.of("event_lag_seconds_count") == 1
    assert readings.of("active_actors", type="ChatAgent") == 1
    assert readings.of("info", runtime="embedded", model="other") == 1
    for operation in ("read", "save", "invoke", "publish"):
        assert readings.of("call_seconds_count", operation=operation) >= 1, operation
    assert readings.of("call_failures_total") == 0


async def test_what_waits_is_seen(serve: Serve):
    """The gauges show a running turn, two waiting ones and a model call."""
    model = HeldModel()
    async with serve(model=model) as served:
        for content in ("one", "two", "three"):
            answer = await served.say("ada", content, prefer="respond-async")
            assert answer.status_code == 202
        held = await read(served.http)
        await served.http.delete("/chat/ada/history")
        cleared = await read(served.http)
        model.free.set()

    assert held.of("parked_turns") == held.of("model_calls_running") == 1
    assert held.of("queue_length") == 2
    assert held.of("turns_parked_total") == 3
    assert held.of("turns_total") == 0
    assert cleared.of("turns_total", kind="message", outcome="cancelled") == 3
    assert cleared.of("parked_turns") == cleared.of("queue_length") == 0


async def test_failures_are_counted_by_their_cause(serve: Serve):
    """Failures of the model, the queue, the caller and the store are told apart."""
    runtime = FakeRuntime()
    async with serve(model=Named(), runtime=runtime, queue_length=1) as served:
        await served.say("ada", "fail")
        await served.say("bob", "hang", prefer="respond-async")
        assert (await served.say("bob", "more")).status_code == 429
        assert (await served.say("ada", "yes", idempotency_key="k")).status_code == 200
        assert (await served.say("ada", "no", idempotency_key="k")).status_code == 422
        runtime.client.fail("save", Unavailable("away"))
        assert (await served.say("ada", "yes")).status_code == 503
        readings = await read(served.http)

    assert readings.of("turns_total", outcome="model_failed") == 1
    assert readings.of("turns_total", outcome="busy") == 1
    assert readings.of("model_calls_total", model="unknown", outcome="failed") == 1
    for result in ("model", "busy", "rejected", "unavailable"):
        assert readings.of("actor_turns_total", type="ChatAgent", result=result) == 1, result
    assert readings.of("call_failures_total", operation="save") == 1


async def test_a_call_that_is_cut_off_is_counted(serve: Serve):
    """A model call that the end of the process cuts off is not a failure of the model."""
    async with serve(model=Named(), drain=0.05) as served:
        await served.say("ada", "hang", prefer="respond-async")
        counters = served.services.counters

    readings = counted(counters)
    assert readings.of("model_calls_total", model="unknown", outcome="cut") == 1
    assert readings.of("model_calls_total") == 1


async def test_events_are_counted_by_what_becomes_of_them(serve: Serve):
    """Applied, duplicate and unusable events are counted for each topic."""
    cleared = {"event_type": "ConversationCleared", "version": 1, "event_id": "x", "upto": 3}
    sent = {"event_type": "MessageSent", "user_id": "ada"}
    async with serve(model=QuickModel()) as served:
        for event in (ours(1), ours(1), ours(5), foreign("x"), foreign("y", actor_id=None)):
            await served.deliver(event)
        await served.deliver({"id": "c", "data": cleared | {"actor_id": "a", "user_id": "a"}})
        for event in (sent, {"event_type": "of others"}):
            await served.deliver({"id": "m", "specversion": "1.0", "data": event}, "/messages")
        await served.deliver({"id": "v", "specversion": "1.0", "data": {}}, "/conversations")
        await served.deliver(foreign("z", actor_id=None), "/subscribe/dead")
        readings = await read(served.http)

    def taken(topic: str, result: str) -> float:
        return readings.of("events_total", topic=topic, result=result)

    assert taken("user-chat", "applied") == 2
    assert taken("user-chat", "duplicate") == 1
    assert taken("user-chat", "retry") == 1
    assert taken("user-chat", "dropped") == 2
    assert (taken("messages", "applied"), taken("messages", "dropped")) == (1, 1)
    assert taken("conversations", "dropped") == 1
    assert readings.of("event_lag_seconds_count") == 1
    assert readings.of("dead_letters_total", topic="user-chat") == 1
    assert readings.of("dead_letters_total") == 1


async def test_a_redelivery_is_counted(serve: Serve):
    """Each redelivery of a requested event is counted, and no other delivery."""
    later = json.dumps({"id": "later", "data": {"version": 99, "seq": 1}}).encode()
    async with serve(model=QuickModel()) as served:
        take = subscriptions.callbacks(served.services)["/subscribe"]
        for body in (
            later,
            json.dumps(ours(1)).encode(),
            later,
            later,
            json.dumps(ours(1)).encode(),
        ):
            await take(body)
        readings = await read(served.http)

    assert readings.of("event_redeliveries_total", topic="user-chat") == 2
    assert readings.of("event_redeliveries_total") == 2
    assert readings.of("events_total", topic="user-chat", result="retry") == 3


async def test_records_of_kafka_are_counted(serve: Serve):
    """Accepted, parked and repeated records are counted."""
    said = {"actor_id": "ada", "message": {"role": "user", "content": "hi"}, "message_id": "1"}
    runtime = FakeRuntime()
    async with serve(model=QuickModel(), runtime=runtime) as served:
        take = subscriptions.inputs(served.services)["/receive-message"]
        runtime.client.fail("get", Unavailable("away"))
        body = json.dumps(said).encode()
        try:
            await take(body, ())
        except Unavailable:
            await take(body, ())
        await take(b"[]", ())
        readings = await read(served.http)

    topic = "kafka-binding"
    assert readings.of("events_total", topic=topic, result="retry") == 1
    assert readings.of("events_total", topic=topic, result="applied") == 1
    assert readings.of("events_total", topic=topic, result="dropped") == 1
    assert readings.of("event_redeliveries_total", topic=topic) == 1
    assert readings.of("dead_letters_total", topic=topic) == 1


class Summarising(QuickModel):
    """Summarises, or refuses to."""

    def __init__(self, *, fails: bool) -> None:
        super().__init__()
        self.fails = fails

    async def summarise(self, digest: Any) -> str:
        if self.fails:
            raise ModelFailed("no")
        return "It was short."


@pytest.mark.parametrize(("result", "other"), [("made", "failed"), ("failed", "made")])
async def test_summaries_are_counted(serve: Serve, result: str, other: str):
    """Summaries of users are counted by their outcome."""
    async with serve(model=Summarising(fails=result == "failed"), summary_events=1) as served:
        await turn_of(served, "ada")
        counters = served.services.counters
        await eventually(lambda: counted(counters).of("summaries_total", kind="user"))
        readings = await read(served.http)

    assert readings.of("summaries_total", kind="user", result=result) == 1
    assert readings.of("summaries_total", result=other) == 0


async def test_what_the_feed_owes_is_seen(serve: Serve):
    """A user's second event waits until the period of the first batch is over."""
    async with serve(model=QuickModel(), feed_time=60) as served:
        await turn_of(served, "ada")
        await served.reply("ada", "more")
        await served.remembered("ada", 2)
        await eventually(lambda: served.services.feed.waiting == 1)
        readings = await read(served.http)

    assert readings.of("feed_backlog") == 1


async def live(served: Served, users: range) -> None:
    """Each user sends a message, and then something fails."""
    for number in users:
        user = f"user-{number}"
        await served.reply(user, "hello")
        match number % 4:
            case 0:
                await served.say(user, "fail")
            case 1:
                await served.say(user, "hang", prefer="respond-async")
                await served.say(user, "behind", prefer="respond-async")
                await served.http.delete(f"/chat/{user}/history")
            case 2:
                await served.http.get(f"/nowhere/{user}")
            case 3:
                await served.deliver({"id": user, "data": {"actor_id": user}})
                await served.deliver({"id": user, "data": {"a": user}}, "/subscribe/dead")


async def test_the_numbers_do_not_grow_with_users(serve: Serve):
    """After 400 users, odd models, failures and parked turns: the series of the first 25."""
    # No reminder and no summary, which a slow machine would add between the two readings.
    rare = {"recovery_period": 3600, "summary_time": 3600, "idle_timeout": 3600}
    async with serve(model=Named(), feed_time=0.05, drain=0.05, **rare) as served:
        await live(served, range(25))
        await applied(served, 25)
        first = await read(served.http)
        await live(served, range(25, 400))
        await applied(served, 400)
        last = await read(served.http)
        text = (await served.http.get("/metrics")).text

    assert last.of("turns_total", outcome="done") == 400
    assert last.of("turns_total", outcome="cancelled") == 200
    assert last.of("dead_letters_total") == 100
    assert last.series == first.series
    assert "user-399" not in text
    assert "model of user-399" not in text
    assert last.of("model_calls_total", model="other", outcome="done") >= 300


async def test_every_label_has_few_values(serve: Serve):
    """Labels have values from the code or the page only, and no ids."""
    async with serve(model=QuickModel()) as served:
        await turn_of(served, "somebody")
        readings = await read(served.http)

    assert not [key for key in readings.series if "somebody" in str(key)]
    types: Mapping[str, Any] = vars(wire)
    assert {
        dict(labels)["type"]
        for name, labels in readings.series
        if name == f"{PREFIX}actor_turns_total"
    } <= set(filter(lambda value: isinstance(value, str), types.values()))


async def test_metrics_need_no_token(serve: Serve):
    """No token is needed; the format is that of the `Accept` header."""
    async with serve(caller="203.0.113.9") as served:
        plain = await served.http.get("/metrics")
        accept = {"accept": "application/openmetrics-text; version=1.0.0"}
        opened = await served.http.get("/metrics", headers=accept)

    assert plain.headers["content-type"].startswith("text/plain; version=")
    assert Readings(plain.text).of("info") == 1
    assert opened.headers["content-type"].startswith("application/openmetrics-text")
    assert opened.text.endswith("# EOF\n")
