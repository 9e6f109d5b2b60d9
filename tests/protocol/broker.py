"""A broker that loses, repeats and reorders events, and the route that takes them."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent_actors.errors import Unavailable
from agent_actors.protocol.codec import encode
from agent_actors.protocol.events import CloudEvent
from agent_actors.routes.sidecar.events import take

if TYPE_CHECKING:
    from tests.protocol.process import Process
    from tests.protocol.world import World

AGAIN = 2
"""Times that an event is delivered again; then it is gone, as with Redis pub/sub."""


@dataclass(slots=True)
class Letter:
    """An event on its way."""

    body: bytes
    again: int = AGAIN


class Broker:
    """The topic `user-chat`."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.letters: list[Letter] = []
        self.delivered = 0

    async def publish(self, pubsub: str, topic: str, event: CloudEvent) -> None:
        """Takes an event, or fails before or after it has."""
        world = self._world
        await world.gate(f"publish {event.subject} {event.data['seq']}")
        world.seen["published"] += 1
        fault = world.strikes("publish")
        if fault != "before":
            self.letters.append(Letter(envelope(event)))
        if fault:
            raise Unavailable("The broker is away.")

    def deliver(self, index: int, *, keep: bool = False) -> None:
        """Hands an event to the route of either process; with `keep` it will come again."""
        letter = self.letters[index]
        self.delivered += 1
        if not keep:
            del self.letters[index]
        process = self._world.chance.choice(self._world.processes)
        self._world.spawn(self._deliver(letter, process))

    def lose(self, index: int) -> None:
        """Forgets an event."""
        self._world.note("LOST event", index)
        del self.letters[index]

    async def _deliver(self, letter: Letter, process: "Process") -> None:
        applied = self._world.spawn(subscribe(process, letter.body), process)
        await asyncio.wait({applied})
        verdict = "RETRY" if applied.cancelled() else applied.result()
        self._world.note("event", verdict)
        self._world.seen[f"event {verdict}"] += 1
        if verdict == "RETRY" and letter.again and self._world.chance.random() < 0.5:
            letter.again -= 1
            self.letters.append(letter)


async def subscribe(process: "Process", body: bytes) -> str:
    """What the route `/subscribe` does with an envelope."""
    return (await take(process.services, body)).status


def envelope(event: CloudEvent) -> bytes:
    """The event as it is delivered."""
    members: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "datacontenttype": "application/json",
        "data": event.data,
    }
    return encode(members)
