"""ResponseAgent: runs the model, and never waits for it longer than the parking time."""

import asyncio
from typing import Any

import pytest
from dapr.actor import ActorId

from agent_actors.conversation.response import ResponseAgent, ResponseDependencies
from agent_actors.errors import ModelFailed, Unavailable
from agent_actors.model.calls import ModelCalls
from agent_actors.protocol import wire
from agent_actors.protocol.codec import encode
from agent_actors.protocol.messages import (
    Failure,
    Message,
    Outcome,
    Person,
    Reply,
    ResponseRequest,
)
from agent_actors.state import slots
from agent_actors.state.documents.conversation import Head
from agent_actors.state.documents.users import Analytics
from agent_actors.state.reader import StateReader
from agent_actors.state.store import StateStore
from tests.fake_actors import FakeChats, FakeMemories
from tests.fakes import FakeActorClient, HeldModel, a_context, a_host
from tests.hand_clock import HandClock, settle

SAID = Message("user", "hi")


class Bench:
    """A ResponseAgent with a model that is held."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.client = FakeActorClient()
        self.model = HeldModel()
        self.memories = FakeMemories(entries=(Message("user", "remembered"),))
        self.handed: list[str] = []
        self.calls = ModelCalls(self.model, self.clock, 120.0, self._complete)
        self.host = a_host(self.clock)
        reader = StateReader(StateStore(self.client, self.clock, 5.0), 256)
        self.chats = FakeChats()
        self._parts = ResponseDependencies(self.chats, self.memories, self.calls, reader, 1.5)
        self.actor = self.activate()

    def activate(self) -> ResponseAgent:
        context = a_context(ResponseAgent, self.client, lambda ctx, id_: self.activate())
        actor = ResponseAgent(context, ActorId("response-ada"), self.host, self._parts)
        self.actor = self.host.activations.record(actor)
        return self.actor

    async def _complete(self, conversation: str, turn_id: str, outcome: Outcome) -> None:
        self.handed.append(turn_id)

    async def ask(self, turn_id: str = "t", *, start: bool = True, wait: float = 1.5) -> Any:
        request = ResponseRequest("ada", turn_id, "ada", 3, SAID, (), start, wait)
        return await self.actor.process_message(request)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_quick_model_is_answered_in_the_same_turn(bench: Bench):
    """Done, with its reply; nothing is handed over, and nothing stored."""
    bench.model.free.set()
    responding = await bench.ask()

    assert (responding.state, responding.outcome) == ("done", Reply("reply to hi", "held"))
    assert (bench.handed, bench.client.did("save")) == ([], [])


async def test_the_model_sees_what_request_and_memory_have(bench: Bench):
    """Of the turn, of the user, and of what came before."""
    bench.model.free.set()
    request = ResponseRequest("ada", "t", "eve", 3, SAID, (), True, 1.5, "They greeted.")
    await bench.actor.process_message(request)
    (prompt,) = bench.model.prompts

    assert (prompt.conversation, prompt.user, prompt.turn_id) == ("ada", "eve", "t")
    assert (prompt.number, prompt.earlier) == (3, "They greeted.")
    assert (prompt.memory, prompt.person) == (bench.memories.entries, Person.new("eve"))


@pytest.mark.parametrize(
    ("converses", "stored", "count"), [(True, 7, 7), (True, None, 0), (False, 7, 0)]
)
async def test_only_a_conversing_model_gets_the_message_count(
    bench: Bench, converses: bool, stored: int | None, count: int
):
    """For the others it is not read; where analytics have none yet it is 0."""
    bench.model.free.set()
    bench.model.uses_history = converses
    if stored is not None:
        analytics = encode(Analytics(message_count=stored))
        bench.client.state[wire.ANALYTICS, "ada"][slots.ANALYTICS.key] = analytics
    await bench.ask()

    assert bench.model.prompts[0].message_count == count
    assert len(bench.client.did("get")) == converses


async def test_a_slow_model_is_waited_for_the_parking_time(bench: Bench):
    """Then the turn ends with *running*, and the end is handed over later."""
    asked = asyncio.create_task(bench.ask(wait=300.0))
    await settle()
    await bench.clock.advance(1.4)

    assert not asked.done()

    await bench.clock.advance(0.1)

    assert (await asked).state == "running"

    bench.model.free.set()
    await settle()

    assert bench.handed == ["t"]


async def test_a_wait_of_zero_waits_for_nothing(bench: Bench):
    """The model is started, and the actor is free at once."""
    responding = await bench.ask(wait=0.0)
    await settle()

    assert responding.state == "running"
    assert len(bench.model.prompts) == 1
    await bench.calls.stop()


async def test_an_unknown_turn_is_started_only_if_the_request_says_so(bench: Bench):
    """ChatAgent counts the start before it is made."""
    assert (await bench.ask(start=False)).state == "unknown"
    assert bench.model.prompts == []


async def test_a_turn_that_runs_is_not_started_twice(bench: Bench):
    """Also when the actor was deactivated and came back meanwhile: the call is the process's."""
    await bench.ask(wait=0.0)
    bench.activate()
    await bench.ask(wait=0.0)
    bench.model.free.set()
    await settle()
    done = await bench.ask(start=False)

    assert done.outcome == Reply("reply to hi", "held")
    assert len(bench.model.prompts) == 1


async def test_a_failed_call_starts_again_if_the_request_says_so(bench: Bench):
    """Without `start` a failure is the outcome; with it, the call starts over."""
    bench.model.free.set()
    bench.model.error = ModelFailed("no")
    await bench.ask()
    looked = await bench.ask(start=False)
    bench.model.error = None
    again = await bench.ask()

    assert isinstance(looked.outcome, Failure)
    assert again.outcome == Reply("reply to hi", "held")


async def test_two_turns_do_not_displace_each_other(bench: Bench):
    """The outcome of one is still there after the other."""
    bench.model.free.set()
    await bench.ask("one")
    await bench.ask("two")

    assert (await bench.ask("one", start=False)).state == "done"


async def test_no_model_is_started_without_memory(bench: Bench):
    """An unavailable memory fails the turn; it is not taken for an empty one."""
    bench.memories.error = Unavailable("away")
    answer = await bench.ask()

    assert isinstance(answer, Failure)
    assert answer.error.status == 503
    assert bench.model.prompts == []


async def test_an_activation_that_was_deactivated_starts_no_model(bench: Bench):
    """It may have been moved while it called memory: another activation starts it then."""
    bench.memories.gate = asyncio.Event()
    asked = asyncio.create_task(bench.ask())
    await settle()
    bench.host.activations.withdraw_all()
    bench.memories.gate.set()
    answer = await asked

    assert isinstance(answer, Failure)
    assert bench.model.prompts == []


async def test_the_count_is_that_of_the_conversation(bench: Bench):
    """It is read from what ChatAgent saved; ChatAgent is not called."""
    head = encode(Head(user="ada", seq=7))
    bench.client.state[wire.CHAT, "ada"][slots.HEAD.key] = head

    assert await bench.actor.get_message_count() == 7
    assert not bench.client.did("invoke")
