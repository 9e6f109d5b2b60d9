import asyncio
import logging
from itertools import pairwise
from random import Random

import pytest

from agent_actors.errors import Invalid, Unavailable
from agent_actors.protocol.events import CloudEvent
from agent_actors.runtime import Headers
from agent_actors.runtime.embedded import topics
from agent_actors.runtime.embedded.files.components import Rule
from tests.conformance.probe import PROBE
from tests.hand_clock import settle
from tests.unit.runtime.embedded.conftest import World

RETRY = b'{"status":"RETRY"}'
DROP = b'{"status":"DROP"}'


async def test_publishing_does_not_wait_for_the_route(world: World):
    """The route may take its time; the publisher is not held up by it."""
    gate = asyncio.Event()
    world.answers = [gate]
    await world.publish(1)
    await settle()

    assert world.delivered == [("/news", "ada-1")]
    assert world.runtime._topics.waiting == 1

    gate.set()
    await settle()

    assert world.runtime._topics.waiting == 0


async def test_events_of_one_subject_go_one_after_another(world: World):
    """An event waits for the one before it of the same source and subject, and for no other."""
    gate = asyncio.Event()
    world.answers = [gate]
    await world.publish(1)
    await world.publish(2)
    await world.publish(1, subject="bob")
    await settle()

    assert world.delivered == [("/news", "ada-1"), ("/news", "bob-1")]

    gate.set()
    await settle()

    assert world.delivered[2:] == [("/news", "ada-2")]


async def test_at_most_so_many_deliveries_run_at_once(world: World):
    """However many publishers there are, the routes get a bounded number of events at once."""
    gate = asyncio.Event()
    world.answers = [gate] * 200
    for number in range(200):
        await world.publish(1, subject=f"u{number}")
    await settle()

    assert len(world.delivered) == topics._AT_ONCE

    gate.set()
    await settle()

    assert len(world.delivered) == 200


async def test_an_unknown_pubsub_is_refused(world: World):
    """The name of a pub/sub component that is not there is the publisher's mistake."""
    with pytest.raises(Invalid, match="no pub/sub component 'other'"):
        await world.runtime.publish("other", "news", CloudEvent("1", "/s", "T", "s", None))


async def test_topics_of_one_name_are_apart(world: World):
    """Events of another pub/sub component go to its own routes, and wait for none of ours."""
    gate = asyncio.Event()
    world.answers = [gate, DROP]
    await world.publish(1)
    await world.publish(2, pubsub="tram")
    await settle()

    assert world.delivered == [
        ("/news", "ada-1"),
        ("/tram/news", "ada-2"),
        ("/tram/dead", "ada-2"),
    ]

    gate.set()
    await settle()

    assert world.runtime._topics.waiting == 0


async def test_a_dead_letter_of_another_pubsub_goes_back_to_it(world: World):
    """What its dead-letter route does not take either is kept, and requeued to its own route."""
    world.answers = [404, DROP]
    await world.publish(1, pubsub="tram")
    await settle()
    (letter,) = await world.runtime.dead_letters.list(10)
    await world.runtime.dead_letters.requeue(letter.id)

    assert letter.event["pubsubname"] == "tram"
    assert [path for path, _ in world.delivered] == ["/tram/news", "/tram/dead", "/tram/news"]
    assert await world.runtime.dead_letters.list(10) == []


async def test_a_topic_without_subscription_is_accepted(world: World):
    """Nobody asked for these events, so they are dropped."""
    await world.publish(1, topic="unheard")
    await settle()

    assert world.delivered == []
    assert world.runtime._topics.waiting == 0


async def test_what_is_no_json_is_refused(world: World):
    """Data that JSON cannot say is refused at once."""
    with pytest.raises(Invalid, match="not JSON"):
        await world.runtime.publish("bus", "news", CloudEvent("1", "/s", "T", "s", object()))


async def test_a_failure_is_retried_with_growing_waits(
    world: World, caplog: pytest.LogCaptureFixture
):
    """Each wait doubles, give or take a fifth, and the last failure is a dead letter."""
    caplog.set_level(logging.DEBUG)
    times: list[float] = []
    world.answers = [RETRY, 500, RuntimeError("secret"), b'{"status":"secret"}', RETRY]
    deliver = world.deliver

    async def stamped(path: str, envelope: bytes, headers: Headers = ()):
        times.append(world.clock.monotonic())
        return await deliver(path, envelope)

    world.runtime._topics._deliver = stamped
    await world.publish(1)
    await world.clock.advance(20)
    waits = [after - before for before, after in pairwise(times)]

    assert [path for path, _ in world.delivered] == ["/news"] * 5 + ["/dead"]
    for wait, plan in zip(waits, [0.2, 0.4, 0.8, 1.6], strict=False):
        assert plan * 0.79 < wait < plan * 1.21
    assert len(set(waits)) == 5
    assert "event ada-1 of topic news is a dead letter after 5 deliveries" in caplog.text
    assert "secret" not in caplog.text


async def test_a_route_that_hangs_is_left(world: World):
    """A delivery that takes too long counts as a failure and is tried again."""
    world.answers = [asyncio.Event()]
    await world.publish(1)
    await world.clock.advance(29)

    assert len(world.delivered) == 1

    await world.clock.advance(2)

    assert len(world.delivered) == 2
    assert world.runtime._topics.waiting == 0


async def test_the_dead_letter_route_is_retried_too(world: World):
    """A dead-letter route that fails for good leaves the event in the dead letters."""
    world.answers = [DROP, *[RETRY] * 5]
    await world.publish(1)
    await world.clock.advance(20)
    (letter,) = await world.runtime.dead_letters.list(10)

    assert [path for path, _ in world.delivered] == ["/news"] + ["/dead"] * 5
    assert (letter.topic, letter.tries, letter.reason) == ("news", 6, "/dead answered RETRY")
    assert letter.event["data"] == {"text": "secret"}
    assert world.runtime._topics.waiting == 0


async def test_without_a_dead_letter_topic_the_event_is_kept(world: World):
    """Where no route decides, the runtime keeps the dead letter itself."""
    world.answers = [DROP]
    await world.publish(1, topic="plain")
    await settle()
    (letter,) = await world.runtime.dead_letters.list(10)

    assert (letter.topic, letter.tries, letter.reason) == ("plain", 1, "/plain answered DROP")


async def test_a_dead_letter_that_cannot_be_kept_is_not_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """While the store is away the event waits, and is kept once the store is back."""

    async def away(*_: object) -> None:
        raise Unavailable("The store is away.")

    world.answers = [DROP] * 20
    with monkeypatch.context() as patch:
        patch.setattr(world.runtime._store, "write", away)
        await world.publish(1, topic="plain")
        await world.clock.advance(1)

    assert world.runtime._topics.waiting == 1

    await world.clock.advance(120)

    assert len(await world.runtime.dead_letters.list(10)) == 1
    assert world.runtime._topics.waiting == 0


async def test_a_bounded_number_of_events_waits(world: World, monkeypatch: pytest.MonkeyPatch):
    """Beyond the bound the publisher is told, and events that wait for a retry count too."""
    monkeypatch.setattr(
        world.runtime._topics, "_delivery", topics.DeliverySettings(5, 10, Random(1), waiting=2)
    )
    world.answers = [RETRY]
    await world.publish(1)
    await settle()
    world.answers = [asyncio.Event()]
    await world.publish(2)

    with pytest.raises(Unavailable, match="Too many events wait"):
        await world.publish(3)


async def test_a_bounded_number_of_bytes_waits(world: World, monkeypatch: pytest.MonkeyPatch):
    """Large events fill the memory before their number does, and room comes back."""
    monkeypatch.setattr(
        world.runtime._topics, "_delivery", topics.DeliverySettings(5, 10, Random(1), bytes=100)
    )
    await world.publish(1)
    with pytest.raises(Unavailable, match="Too many events wait"):
        await world.publish(2)
    await settle()
    await world.publish(2)


async def test_no_match_is_settled_without_a_dead_letter_topic(world: World):
    """An event that no rule wants is done with; with a dead-letter topic it goes there."""
    subscriptions = world.runtime._topics._subscriptions
    other = Rule.model_validate({"match": "event.type == 'Other'", "path": "/other"})
    plain = {"rules": (other,), "default": None, "dead_letter_topic": None}
    subscriptions["bus", "news"] = subscriptions["bus", "news"].model_copy(update=plain)
    await world.publish(1)
    await settle()

    assert world.delivered == []
    assert world.runtime._topics.waiting == 0

    dead = {"dead_letter_topic": "news-dead"}
    subscriptions["bus", "news"] = subscriptions["bus", "news"].model_copy(update=dead)
    await world.publish(2)
    await settle()

    assert world.delivered == [("/dead", "ada-2")]


async def test_a_running_delivery_may_call_actors_while_the_runtime_stops(world: World):
    """A delivery that has begun ends well within the drain time; none begins any more."""
    gate = asyncio.Event()
    answers: list[bytes] = []

    async def route(path: str, envelope: bytes, headers: Headers = ()):
        await gate.wait()
        answers.append(await world.runtime.actor_client.invoke_method(PROBE, "a", "Echo", b'"x"'))
        return await world.deliver(path, envelope)

    world.runtime._topics._deliver = route
    await world.publish(1)
    await world.publish(2)
    await settle()
    stop = asyncio.create_task(world.runtime.stop())
    await settle()
    with pytest.raises(Unavailable):
        await world.publish(3)
    gate.set()
    await stop

    assert answers == [b'"x"']
    assert world.delivered == [("/news", "ada-1")]
