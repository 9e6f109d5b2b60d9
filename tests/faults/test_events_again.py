"""Events that come again, in any order, by the broker and past it: each takes effect once."""

import asyncio
from pathlib import Path
from typing import Any

from agent_actors.conversation.outbox import turn_event
from agent_actors.protocol import wire
from agent_actors.protocol.events import turn_payload
from agent_actors.state.documents.conversation import Head, Pair, Segment, segment_of
from agent_actors.state.versions import read
from tests.dapr.engine import Engine
from tests.faults.rig import Replicas, Storm, storm

ROUNDS = 4
TIMES = 2
"""How often each event comes again in a round."""


async def head_of(place: Replicas, user: str) -> Head:
    """The head of a conversation; an empty one before its first turn."""
    value = await place.stored(wire.CHAT, user, "head")
    return Head() if value is None else read(value, Head)


async def pairs(place: Replicas, user: str, head: Head) -> list[Pair]:
    """The committed turns of a conversation."""
    found: list[Pair] = []
    for number in range(segment_of(head.seq) + 1):
        stored = await place.stored(wire.CHAT, user, f"h{number}")
        found += read(stored, Segment).pairs if stored else ()
    return list({pair.seq: pair for pair in (*found, *head.tail)}.values())


async def events(weather: Storm) -> list[dict[str, Any]]:
    """What all conversations have published so far."""
    found: list[dict[str, Any]] = []
    for user in [person.user for person in weather.people]:
        head = await head_of(weather.place, user)
        told = await pairs(weather.place, user, head)
        found += [turn_payload(turn_event(user, head, pair)) for pair in told]
    return found


async def send(weather: Storm, event: dict[str, Any]) -> None:
    """Publishes an event, or delivers it past the broker."""
    if weather.random.random() < 0.5:
        path = f"publish/{wire.PUBSUB}/{wire.USER_CHAT}"
        answer = await weather.place.sidecar("POST", path, json=event)
        assert answer.status_code == 204, answer.text
        return
    envelope = {"specversion": "1.0", "id": event["event_id"], "data": event}
    replica = weather.random.choice(weather.cluster.replicas)
    answer = await weather.place.subscribe(replica, envelope)
    assert answer.json()["status"] in {"SUCCESS", "RETRY"}, answer.text
    weather.numbers[answer.json()["status"]] += 1


async def test_events_that_come_again_change_nothing(engine: Engine, tmp_path: Path):
    """Every event of every turn comes several times more, in any order, also while people talk."""
    name = "events doubled and reordered"
    async with storm(name, engine, tmp_path, replicas=2) as weather:
        async with weather.blowing():
            for _ in range(ROUNDS):
                await weather.pause(0.5, 1.0)
                await again(weather)
        await weather.rest()
        await again(weather)
        await weather.check()


async def again(weather: Storm) -> None:
    """All events, `TIMES` times, in any order, eight at once."""
    owed = await events(weather) * TIMES
    weather.random.shuffle(owed)
    for first in range(0, len(owed), 8):
        await asyncio.gather(*(send(weather, event) for event in owed[first : first + 8]))
    weather.numbers["events again"] += len(owed)
