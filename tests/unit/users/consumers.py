"""A consumer of ada's events on a store in memory, whichever of the three it is."""

from collections.abc import Callable
from typing import Any, TypeVar

from dapr.actor import ActorId

from agent_actors.protocol import ids, wire
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.messages import ForgetUser, HighWaterMark, MarkRequest, Message, Usage
from agent_actors.state import slots
from agent_actors.turns.actor import TurnActor
from agent_actors.users.analytics import AnalyticsActor
from agent_actors.users.consumer import Consumer
from agent_actors.users.memory import MemoryAgentActor
from agent_actors.users.session import UserSessionActor
from tests.fakes import FakeActorClient, a_context, a_host
from tests.hand_clock import HandClock

A = TypeVar("A", bound=TurnActor)


def event(
    seq: int | None,
    conversation: str = "ada",
    *,
    event_id: str = "",
    floor: int = 0,
    at: float | None = None,
    **more: Any,
) -> TurnEvent:
    """The event of an exchange; without a number, one of another service."""
    said = Message("user", f"said {seq or event_id}")
    answered = Message("assistant", f"answered {seq or event_id}")
    named = event_id or f"event {conversation} {seq}"
    return TurnEvent(conversation, named, said, answered, seq, floor=floor, at=at, **more)


def used(seq: int, model: str, tokens: int, turn_id: str = "") -> TurnEvent:
    """The event of an exchange that took so many tokens each way."""
    return event(seq, turn_id=turn_id or f"turn {seq}", model=model, usage=Usage(tokens, tokens))


class Bench:
    """A consumer.

    Args:
        kind: Its type's name.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.client = FakeActorClient()
        self.key = (kind, ids.memory_id("ada") if kind == wire.MEMORY else "ada")
        self._host = a_host(HandClock())
        self.unsummed: list[int] = []
        """The number of events without a summary, each time that memory reported it."""
        self.activate()

    def activate(self) -> None:
        """A fresh activation, as after a crash or an idle time."""
        self.actor: Consumer = self._make(KINDS[self.kind])

    def _make(self, kind: Callable[..., A]) -> A:
        context = a_context(kind, self.client)  # type: ignore[arg-type]
        more = [self._request_summary] if self.kind == wire.MEMORY else []
        actor = kind(context, ActorId(self.key[1]), self._host, *more)
        return self._host.activations.record(actor)

    def _request_summary(self, user: str, unsummed: int) -> None:
        assert user == "ada"
        self.unsummed.append(unsummed)

    async def take(self, *events: TurnEvent) -> list[str]:
        """Delivers events as one batch, or one by one; the ids of those that came too early."""
        if self.kind != wire.MEMORY:
            return list(await self.offer(*events))
        taken = [(each, await self.offer(each)) for each in events]
        return [each.event_id for each, found in taken if found.status == "gap"]

    async def offer(self, *events: TurnEvent) -> Any:
        """Its answer to events; memory takes one at a time."""
        if isinstance(self.actor, MemoryAgentActor):
            (one,) = events
            return await self.actor.update_memory(one)
        if isinstance(self.actor, UserSessionActor):
            return await self.actor.add_exchanges(events)
        assert isinstance(self.actor, AnalyticsActor)
        return await self.actor.count_turns(events)

    async def forget(self, *passed: tuple[str, int], at: float = 0.0) -> Any:
        """Its user is forgotten, up to these numbers and this time."""
        request = ForgetUser(tuple(HighWaterMark(*each) for each in passed), at)
        return await self.actor.forget(request)

    async def mark(self, conversation: str = "ada") -> int:
        """The mark of a conversation."""
        return await self.actor.get_mark(MarkRequest(conversation))

    @property
    def effects(self) -> int:
        """The number of events that took effect, as it is stored."""
        document = self.client.value(self.key, DOCUMENTS[self.kind]) or {}
        if self.kind == wire.MEMORY:
            return len([each for each in document.get("fresh", ()) if each["role"] == "user"])
        if self.kind == wire.SESSION:
            return len(document.get("exchanges", ()))
        return int(document.get("message_count", 0))

    @property
    def saves(self) -> int:
        """How often it has saved."""
        return len(self.client.did("save"))


KINDS: dict[str, Callable[..., Consumer]] = {
    wire.MEMORY: MemoryAgentActor,
    wire.SESSION: UserSessionActor,
    wire.ANALYTICS: AnalyticsActor,
}
DOCUMENTS = {
    wire.MEMORY: slots.MEMORY,
    wire.SESSION: slots.EXCHANGES,
    wire.ANALYTICS: slots.ANALYTICS,
}
