"""A turn: one at a time (I1), and a failed one leaves no trace (I2)."""

import asyncio
import json
from dataclasses import dataclass, field

import pytest
from dapr.actor import ActorId, ActorInterface, ActorRuntime
from dapr.actor.runtime.context import ActorRuntimeContext

from agent_actors.errors import Busy, Deactivated, Defect, Unavailable
from agent_actors.protocol.codec import ValueSerializer
from agent_actors.protocol.interfaces import actormethod
from agent_actors.protocol.messages import MarkRequest
from agent_actors.state import slots
from agent_actors.state.documents.conversation import Head
from agent_actors.turns.actor import Host, TurnActor, turn
from tests.fakes import FakeActorClient, a_context, a_host, all_of
from tests.hand_clock import HandClock, settle

COUNTER = "Counter"


class CounterInterface(ActorInterface):
    @actormethod("Add")
    async def add(self, request: MarkRequest) -> int:
        raise NotImplementedError

    @actormethod("Count")
    async def count(self) -> int:
        raise NotImplementedError


@dataclass
class Journal:
    """What happened, and what the next turn is to do."""

    made: list["Counter"] = field(default_factory=list)
    inside: int = 0
    most: int = 0
    order: list[str] = field(default_factory=list)
    gate: asyncio.Event | None = None
    error: BaseException | None = None

    async def called(self) -> None:
        self.order.append("called")


class Counter(TurnActor, CounterInterface):
    def __init__(
        self, ctx: ActorRuntimeContext, actor_id: ActorId, host: Host, journal: Journal
    ) -> None:
        super().__init__(ctx, actor_id, host)
        self.journal = journal
        journal.made.append(self)

    @turn
    async def add(self, request: MarkRequest) -> int:
        journal = self.journal
        journal.order.append(request.conversation)
        journal.inside += 1
        journal.most = max(journal.most, journal.inside)
        try:
            head = await self.state.load(slots.HEAD) or Head()
            if journal.gate is not None:
                await journal.gate.wait()
            await self.state.save({slots.HEAD: Head(seq=head.seq + 1)})
            if journal.error is not None:
                raise journal.error
            return head.seq + 1
        finally:
            journal.inside -= 1

    @turn
    async def count(self) -> int:
        return (await self.state.load(slots.HEAD) or Head()).seq


@pytest.fixture
def client() -> FakeActorClient:
    return FakeActorClient()


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
async def host(client: FakeActorClient, journal: Journal, fresh_registry: None) -> Host:
    """The actor type, registered with the SDK as the composition does it."""
    host = a_host(HandClock())
    await ActorRuntime.register_actor(
        Counter,
        message_serializer=ValueSerializer(),
        state_serializer=ValueSerializer(),
        actor_client=client,
        actor_factory=lambda ctx, id_: host.activations.record(Counter(ctx, id_, host, journal)),
    )
    return host


async def add(name: str = "a") -> object:
    """One turn, dispatched as a runtime does it, in a task of its own."""
    body = json.dumps({"conversation": name}).encode()
    work = ActorRuntime.dispatch(COUNTER, "ada", "Add", body)
    return json.loads(await asyncio.create_task(work))


async def count() -> object:
    return json.loads(await ActorRuntime.dispatch(COUNTER, "ada", "Count", b""))


@pytest.fixture
def alone() -> Host:
    """Without the SDK's registry."""
    return a_host(HandClock())


def an_actor(client: FakeActorClient, host: Host, journal: Journal) -> Counter:
    """An object made without the SDK's registry."""
    context = a_context(Counter, client, lambda c, i: host.activations.record(
        Counter(c, i, host, journal)))  # fmt: skip
    return host.activations.record(Counter(context, ActorId("ada"), host, journal))


async def test_three_calls_at_once_to_a_cold_actor_act_on_one_activation(
    host: Host, journal: Journal
):
    """The SDK makes three objects of one cold actor; one of them acts, one turn at a time."""
    results = await all_of(add(name) for name in "abc")

    assert results == [1, 2, 3]
    assert journal.order == ["a", "b", "c"]
    assert journal.most == 1
    assert sum(actor.live for actor in journal.made) == 1


async def test_a_turn_that_lost_its_caller_keeps_the_actor(host: Host, journal: Journal):
    """A second call waits for a turn whose object was deactivated meanwhile."""
    journal.gate = asyncio.Event()
    first = asyncio.create_task(add("a"))
    await settle()
    await ActorRuntime.deactivate(COUNTER, "ada")
    second = asyncio.create_task(add("b"))
    await settle()

    assert journal.order == ["a"]

    journal.gate.set()
    await asyncio.wait({first, second})

    assert journal.most == 1
    assert await second == 1


async def test_a_deactivated_activation_saves_nothing(
    host: Host, journal: Journal, client: FakeActorClient
):
    """Its turn ends with an error to be tried again, and the store was not touched."""
    journal.gate = asyncio.Event()
    held = asyncio.create_task(add())
    await settle()
    await ActorRuntime.deactivate(COUNTER, "ada")
    journal.gate.set()
    answer = await held

    assert isinstance(answer, dict)
    assert (answer["error"]["status"], answer["error"]["retry"]) == (503, "same-key")
    assert not client.did("save")


async def test_a_deactivated_activation_calls_nothing(
    client: FakeActorClient, journal: Journal, alone: Host
):
    """A withdrawn object refuses before it calls."""
    actor = an_actor(client, alone, journal)
    alone.activations.withdraw_all()

    with pytest.raises(Deactivated):
        await actor.ask(journal.called)
    assert journal.order == []


async def test_a_call_to_an_object_that_is_not_the_recorded_one_runs_on_that_one(
    client: FakeActorClient, journal: Journal, alone: Host
):
    """Whatever object the SDK hands the call to; where none is recorded, a fresh one is made."""
    stale = an_actor(client, alone, journal)
    current = an_actor(client, alone, journal)
    assert await stale.add(MarkRequest("a")) == 1

    assert not stale.live
    assert await current.count() == 1
    assert not stale.state._cache
    assert current.state._cache
    alone.activations.withdraw(current.ref)
    assert await current.add(MarkRequest("a")) == 2
    assert [actor.live for actor in journal.made] == [False, False, True]


@pytest.mark.parametrize("error", [ValueError("what was said"), KeyError("k"), RuntimeError()])
async def test_a_turn_that_raises_leaves_nothing_in_the_cache(
    host: Host, journal: Journal, error: BaseException
):
    """A bug in a turn is a 500 without its text, and the next turn reads the store again."""
    journal.error = error
    answer = await add()
    journal.error = None

    assert isinstance(answer, dict)
    assert answer["error"]["status"] == 500
    assert "said" not in json.dumps(answer)
    assert not journal.made[-1].state._cache
    assert await count() == 1


async def test_a_returned_error_is_told_as_it_is(host: Host, journal: Journal):
    """Our own errors travel with status, detail and advice."""
    journal.error = Busy("Too many.")
    answer = await add()

    assert answer == {
        "error": {
            "status": 429,
            "title": Busy.title,
            "detail": "Too many.",
            "retry": "same-key",
        }
    }


@pytest.mark.parametrize("worked", [False, True])
async def test_a_failed_save_leaves_what_the_store_has(
    host: Host, client: FakeActorClient, worked: bool
):
    """After a save that failed, the next turn goes on from the store, not from the cache."""
    await add()
    client.fail("save", Unavailable("away"), after=worked)
    await add()

    assert await count() == (2 if worked else 1)
    assert await add() == (3 if worked else 2)


async def test_a_cancelled_turn_leaves_no_trace_and_frees_the_actor(
    host: Host, journal: Journal, client: FakeActorClient
):
    """A turn that is cut in its save voids the cache and lets the next one in."""
    gate = client.hold("save")
    body = json.dumps({"conversation": "a"}).encode()
    cut = asyncio.create_task(ActorRuntime.dispatch(COUNTER, "ada", "Add", body))
    await settle()
    cut.cancel()
    await asyncio.wait({cut})
    gate.set()

    assert cut.cancelled()
    assert await count() == 0
    assert await add() == 1


async def test_an_argument_of_another_form_is_refused(host: Host, journal: Journal):
    """A wrong body is 422 that names the field; the method does not run."""
    answer = json.loads(await ActorRuntime.dispatch(COUNTER, "ada", "Add", b'{"secret": 1}'))

    assert answer["error"]["status"] == 422
    assert "conversation" in answer["error"]["detail"]
    assert journal.order == []


async def test_a_call_without_an_answer_ends(client: FakeActorClient, journal: Journal):
    """`ask` ends after the call time, and a wait for a model comes on top of it."""
    clock = HandClock()
    host = a_host(clock)
    actor = an_actor(client, host, journal)
    asked = asyncio.create_task(actor.ask(asyncio.Event().wait, wait=2.0))
    await settle()
    await clock.advance(6.9)

    assert not asked.done()

    await clock.advance(0.1)

    with pytest.raises(Unavailable):
        await asked


async def test_deactivation_withdraws_at_once(host: Host, journal: Journal):
    """An object that the SDK deactivates may not act, and nothing of it is kept, nor its lock."""
    await add()
    assert not host.activations._locks
    await ActorRuntime.deactivate(COUNTER, "ada")

    assert not journal.made[-1].live
    assert not host.activations._current


async def test_a_document_that_cannot_be_read_is_logged(
    host: Host, journal: Journal, caplog: pytest.LogCaptureFixture
):
    """Its caller gets 500; whoever runs the service finds the actor and the reason in the log."""
    journal.error = Defect("The stored Head cannot be read.")
    await add()

    assert "The stored Head cannot be read." in caplog.text
