"""MemoryAgentActor: each event is effective once, in order."""

import pytest
from dapr.actor import ActorId

from agent_actors.errors import Unavailable
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.messages import Failure, MarkRequest, Message
from agent_actors.state import slots
from agent_actors.users.consumer import SEEN
from agent_actors.users.memory import ENTRIES, MemoryAgentActor
from tests.fakes import FakeActorClient, a_context, a_host
from tests.hand_clock import HandClock

ADA = ("MemoryAgentActor", "memory-ada")


@pytest.fixture
def client() -> FakeActorClient:
    return FakeActorClient()


@pytest.fixture
def memory(client: FakeActorClient) -> MemoryAgentActor:
    return activated(client)


def activated(client: FakeActorClient) -> MemoryAgentActor:
    host = a_host(HandClock())
    context = a_context(MemoryAgentActor, client)
    memory = MemoryAgentActor(context, ActorId("memory-ada"), host, lambda *_: None)
    return host.activations.record(memory)


def event(seq: int | None, conversation: str = "ada", event_id: str = "") -> TurnEvent:
    said, answered = Message("user", f"said {seq}"), Message("assistant", f"answered {seq}")
    return TurnEvent(conversation, event_id or f"event {seq}", said, answered, seq)


async def apply(memory: MemoryAgentActor, *events: TurnEvent) -> list[str]:
    return [(await memory.update_memory(each)).status for each in events]


async def contents(memory: MemoryAgentActor) -> list[str]:
    return [entry.content for entry in await memory.get_memory()]


async def test_a_new_user_has_no_memory(memory: MemoryAgentActor):
    """Nothing is remembered, nothing was applied."""
    assert await memory.get_memory() == ()
    assert await memory.get_mark(MarkRequest("ada")) == 0


async def test_the_last_three_entries_are_kept(memory: MemoryAgentActor):
    """Newest last, never more."""
    assert await apply(memory, event(1), event(2)) == ["applied", "applied"]
    assert await contents(memory) == ["answered 1", "said 2", "answered 2"]

    await apply(memory, *[event(seq) for seq in range(3, 20)])

    assert await contents(memory) == ["answered 18", "said 19", "answered 19"]
    assert len(await memory.get_memory()) == ENTRIES


async def test_an_event_is_effective_once(memory: MemoryAgentActor, client: FakeActorClient):
    """A redelivered event is a duplicate and saves nothing."""
    results = await apply(memory, event(1), event(1), event(2), event(1), event(2))

    assert results == ["applied", "duplicate", "applied", "duplicate", "duplicate"]
    assert await contents(memory) == ["answered 1", "said 2", "answered 2"]
    assert len(client.did("save")) == 2


async def test_an_event_that_is_too_early_waits(memory: MemoryAgentActor, client: FakeActorClient):
    """A gap saves nothing: the event before it must come first."""
    assert await apply(memory, event(2)) == ["gap"]
    assert not client.did("save")
    assert await apply(memory, event(1), event(2)) == ["applied", "applied"]


async def test_effect_and_mark_are_one_transaction(
    memory: MemoryAgentActor, client: FakeActorClient
):
    """A crash can leave neither without the other."""
    await apply(memory, event(1))

    assert client.did("save") == [("save", *ADA, "memory", "s:ada")]
    assert client.value(ADA, slots.mark("ada")) == {"v": 2, "seq": 1, "forgotten": 0}


async def test_each_conversation_has_its_own_mark(memory: MemoryAgentActor):
    """The memory is the user's, the marks are the conversations'."""
    results = await apply(memory, event(1, "ada"), event(1, "session:x"), event(2, "ada"))

    assert results == ["applied"] * 3
    assert await memory.get_mark(MarkRequest("ada")) == 2
    assert await memory.get_mark(MarkRequest("session:x")) == 1


@pytest.mark.parametrize("worked", [False, True])
async def test_a_failed_save_is_not_believed(
    memory: MemoryAgentActor, client: FakeActorClient, worked: bool
):
    """The caller gets the error; whether the save worked or not, the effect happens once."""
    client.fail("save", Unavailable("away"), after=worked)
    refused: object = await memory.update_memory(event(1))

    assert isinstance(refused, Failure)
    assert await apply(memory, event(1)) == ["duplicate" if worked else "applied"]
    assert await contents(memory) == ["said 1", "answered 1"]


async def test_a_broken_store_is_no_empty_memory(memory: MemoryAgentActor, client: FakeActorClient):
    """Reads fail, and an event does not overwrite what is there."""
    await apply(memory, event(1))
    again = activated(client)
    client.fail("get", Unavailable("away"))
    refused: object = await again.update_memory(event(2))

    assert isinstance(refused, Failure)
    assert await apply(again, event(2)) == ["applied"]
    assert await contents(again) == ["answered 1", "said 2", "answered 2"]


async def test_a_missing_mark_is_not_a_missing_memory(
    memory: MemoryAgentActor, client: FakeActorClient
):
    """A document that lacks its neighbour is kept as it is."""
    await apply(memory, event(1))
    del client.state[ADA]["s:ada"]
    again = activated(client)

    assert await contents(again) == ["said 1", "answered 1"]
    assert await again.get_mark(MarkRequest("ada")) == 0


async def test_a_foreign_event_is_effective_once_per_id(memory: MemoryAgentActor):
    """The lesson's form has no number: its id is remembered, and no mark is moved."""
    results = await apply(
        memory, event(None, event_id="x"), event(None, event_id="x"), event(None, event_id="y")
    )

    assert results == ["applied", "duplicate", "applied"]
    assert await memory.get_mark(MarkRequest("ada")) == 0


async def test_the_ids_of_foreign_events_are_bounded(
    memory: MemoryAgentActor, client: FakeActorClient
):
    """The last 64 are known, the one before them is new again."""
    await apply(memory, *[event(None, event_id=f"e{n}") for n in range(SEEN + 1)])

    assert len(client.value(ADA, slots.MEMORY)["seen"]) == SEEN
    assert await apply(memory, event(None, event_id="e1")) == ["duplicate"]
    assert await apply(memory, event(None, event_id="e0")) == ["applied"]


async def test_memory_survives_its_activation(memory: MemoryAgentActor, client: FakeActorClient):
    """A fresh activation continues where the last one was."""
    await apply(memory, event(1))
    again = activated(client)

    assert await apply(again, event(1), event(2)) == ["duplicate", "applied"]
