"""A DeadLetterActor on a store in memory, and the letters over it."""

import json
from typing import Any

from dapr.actor import ActorId, ActorRuntime
from dapr.actor.runtime.context import ActorRuntimeContext

from agent_actors.dead_letters.actor import DeadLetterActor
from agent_actors.dead_letters.store import ActorDeadLetters
from agent_actors.protocol import wire
from agent_actors.protocol.clients import DeadLetterClient, ProxyFactory, returned
from agent_actors.protocol.codec import ValueSerializer, adapter, encode
from agent_actors.protocol.dead_letters import ForgetDeadLetter, KeepDeadLetter, LetterLimits
from agent_actors.protocol.ids import ActorRef
from agent_actors.runtime import DeadLetters
from agent_actors.state.store import StateStore
from tests.fakes import FakeActorClient, a_context, a_host
from tests.hand_clock import HandClock

LETTERS = ActorRef(wire.LETTERS, wire.LETTERS_ID)


def envelope(number: int, **more: object) -> bytes:
    """A CloudEvent of that id."""
    return json.dumps({"id": str(number)} | more).encode()


class WeighedClient(FakeActorClient):
    """Knows how many bytes were read and saved."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = 0

    async def save_state_transactionally(self, actor_type: str, actor_id: str, data: bytes) -> None:
        self.weight += len(data)
        await super().save_state_transactionally(actor_type, actor_id, data)

    async def get_state(self, actor_type: str, actor_id: str, name: str) -> bytes:
        data = await super().get_state(actor_type, actor_id, name)
        self.weight += len(data)
        return data


class _Calls(DeadLetterClient):
    """The actor's turns, as they travel."""

    def __init__(self, graveyard: "Graveyard") -> None:
        super().__init__(ProxyFactory(graveyard.client))
        self._graveyard = graveyard

    async def keep(self, request: KeepDeadLetter) -> str:
        answer = encode(await self._graveyard.actor.keep(request))
        letter_id: str = returned(answer, adapter(str))
        return letter_id

    async def forget(self, request: ForgetDeadLetter) -> None:
        done: object = await self._graveyard.actor.forget(request)  # type: ignore[func-returns-value]
        returned(encode(done), adapter(None))


class Graveyard:
    """The actor, its store, and what a runtime would have."""

    def __init__(self, number: int = 10_000, age: float = 1000.0) -> None:
        self.clock = HandClock()
        self.client = WeighedClient()
        self.bounds = LetterLimits(number, age)
        self.host = a_host(self.clock)
        self.delivered: list[tuple[str, bytes]] = []
        self.refusal: Exception | None = None
        """What a redelivery raises, if anything."""
        self.actor = self.activate()
        store = StateStore(self.client, self.clock, 5.0)
        self.letters: DeadLetters = ActorDeadLetters(
            _Calls(self), store, self._redeliver, self.clock, age
        )

    def activate(self) -> DeadLetterActor:
        """From now on a fresh activation acts."""
        return self._build(a_context(DeadLetterActor, self.client), ActorId(wire.LETTERS_ID))

    async def register(self) -> None:
        """From now on the SDK dispatches the actor's calls."""
        await ActorRuntime.register_actor(
            DeadLetterActor,
            ValueSerializer(),
            ValueSerializer(),
            actor_factory=self._build,
            actor_client=self.client,
        )

    def _build(self, context: ActorRuntimeContext, actor_id: ActorId) -> DeadLetterActor:
        actor = DeadLetterActor(context, actor_id, self.host, self.bounds)
        self.actor = self.host.activations.record(actor)
        return self.actor

    async def keep(self, *numbers: int) -> list[str]:
        """Keeps events of these ids; the letters' ids."""
        return [await self.letters.keep("news", envelope(number), "why", 1) for number in numbers]

    async def numbers(self, limit: int = 1000) -> list[int]:
        """The ids of the events that are listed."""
        return [int(letter.event["id"]) for letter in await self.letters.list(limit)]

    @property
    def stored(self) -> dict[str, Any]:
        """What the store has, by key."""
        return {key: json.loads(data) for key, data in self.client.state[LETTERS].items()}

    async def _redeliver(self, topic: str, event: bytes) -> None:
        self.delivered.append((topic, event))
        if self.refusal is not None:
            raise self.refusal
