"""Our own actors, called back: by the id of the chain, one at a time, and no update is lost."""

import asyncio
import json
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from dapr.actor import ActorId, ActorInterface, ActorRuntime
from dapr.actor.runtime.context import ActorRuntimeContext

from agent_actors.errors import Unavailable
from agent_actors.protocol.codec import ValueSerializer, encode
from agent_actors.protocol.interfaces import actormethod
from agent_actors.settings.actors import ActorRules, RulesOf
from agent_actors.state import slots
from agent_actors.state.documents.conversation import Head
from agent_actors.turns.activations import Activations
from agent_actors.turns.actor import Host, TurnActor, turn
from tests.fakes import FakeActorClient
from tests.hand_clock import HandClock, settle

CALLER = "Caller"
DEPTH = 3


class CallerInterface(ActorInterface):
    @actormethod("Act")
    async def act(self, does: str) -> int:
        raise NotImplementedError


@dataclass
class Script:
    """What each turn does, by its name: the calls it makes at once, after it has read."""

    calls: dict[str, list[str]] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)
    fails: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)


class Caller(TurnActor, CallerInterface):
    def __init__(
        self, ctx: ActorRuntimeContext, actor_id: ActorId, host: Host, script: Script
    ) -> None:
        super().__init__(ctx, actor_id, host)
        self._script = script

    @turn
    async def act(self, does: str) -> int:
        script = self._script
        script.said.append(does)
        head = await self.state.load(slots.HEAD) or Head()
        calls = [partial(self._call, name) for name in script.calls.get(does, [])]
        await asyncio.gather(*map(self.ask, calls))
        if does not in script.stale:
            head = await self.state.load(slots.HEAD) or Head()
        await self.state.save({slots.HEAD: Head(seq=head.seq + 1)})
        if does in script.fails:
            raise ValueError(does)
        script.said.append(f"{does} saved")
        return head.seq + 1

    async def _call(self, name: str) -> None:
        if name in self._script.gates:
            await self._script.gates[name].wait()
        else:
            self._script.answers[name] = await act(name, "chain")


async def act(name: str, chain: str | None = None) -> Any:
    """One turn, dispatched as a runtime does it, in a task of its own."""
    work = ActorRuntime.dispatch(CALLER, "ada", "Act", encode(name), chain)
    async with asyncio.timeout(5):
        return json.loads(await asyncio.create_task(work))


@pytest.fixture
def client() -> FakeActorClient:
    return FakeActorClient()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def script(client: FakeActorClient, clock: HandClock, fresh_registry: None) -> Script:
    """The actor type, called back as often as `DEPTH` says."""
    return await registered(client, clock, lambda _: ActorRules(60.0, 2.0, DEPTH))


async def registered(client: FakeActorClient, clock: HandClock, rules_of: RulesOf) -> Script:
    script, activations = Script(), Activations(rules_of)
    host = Host(activations, clock, 5.0)
    await ActorRuntime.register_actor(
        Caller,
        message_serializer=ValueSerializer(),
        state_serializer=ValueSerializer(),
        actor_client=client,
        actor_factory=lambda ctx, id_: activations.record(Caller(ctx, id_, host, script)),
    )
    return script


def seq(client: FakeActorClient) -> int:
    number: int = client.value((CALLER, "ada"), slots.HEAD)["seq"]
    return number


async def test_a_nested_turn_acts_on_the_same_activation(script: Script, client: FakeActorClient):
    """Its saves are seen by the turn around it, and both are kept."""
    script.calls = {"outer": ["nested"]}

    assert await act("outer", "chain") == 2
    assert script.answers == {"nested": 1}
    assert seq(client) == 2


async def test_what_a_nested_turn_saved_is_not_overwritten(script: Script, client: FakeActorClient):
    """The outer turn that counts on what it read before is refused, and may be sent again."""
    script.calls, script.stale = {"outer": ["nested"]}, {"outer"}
    refused = await act("outer", "chain")

    assert (refused["error"]["status"], refused["error"]["retry"]) == (503, "same-key")
    assert seq(client) == 1

    script.calls = {}

    assert await act("outer", "chain") == 2


@pytest.mark.parametrize("fails", [True, False])
async def test_a_nested_failure_does_not_spoil_the_outer_turn(
    script: Script, client: FakeActorClient, fails: bool
):
    """A nested turn that fails, or cannot save, voids the cache; the outer one reads again."""
    script.calls = {"outer": ["nested"]}
    if fails:
        script.fails = {"nested"}
    else:
        client.fail("save", Unavailable("away"))

    assert await act("outer", "chain") == (2 if fails else 1)
    assert script.answers["nested"]["error"]["status"] == (500 if fails else 503)


async def test_branches_of_a_chain_act_one_after_the_other(script: Script, client: FakeActorClient):
    """Of two nested turns that are called at once, the second begins when the first has saved."""
    script.calls = {"outer": ["left", "right"]}

    assert await act("outer", "chain") == 3
    assert script.said == ["outer", "left", "left saved", "right", "right saved", "outer saved"]


async def test_a_chain_that_is_too_deep_is_refused(script: Script, client: FakeActorClient):
    """One call more than the depth is an error that says so; those inside go on."""
    script.calls = {"one": ["two"], "two": ["three"], "three": ["four"]}

    assert await act("one", "chain") == 3
    assert script.said[:4] == ["one", "two", "three", "three saved"]
    assert "reentrancy depth" in script.answers["four"]["error"]["detail"]
    assert await act("next") == 4


@pytest.mark.parametrize("chain", ["another", None])
async def test_others_wait_for_the_whole_chain(
    script: Script, client: FakeActorClient, chain: str | None
):
    """A call of another chain, or of none, does not come between."""
    script.calls = {"outer": ["gate"]}
    script.gates["gate"] = asyncio.Event()
    outer = asyncio.create_task(act("outer", "chain"))
    await settle()
    other = asyncio.create_task(act("other", chain))
    await settle()

    assert script.said == ["outer"]

    script.gates["gate"].set()

    assert (await outer, await other) == (1, 2)


async def test_a_type_that_is_not_reentrant_ignores_ids(
    client: FakeActorClient, clock: HandClock, fresh_registry: None
):
    """The nested call waits for itself, and its caller is told so when the call time is over."""
    script = await registered(client, clock, lambda _: ActorRules(60.0, 2.0))
    script.calls = {"outer": ["nested"]}
    outer = asyncio.create_task(act("outer", "chain"))
    await settle()

    assert script.said == ["outer"]

    await clock.advance(5)

    assert (await outer)["error"]["status"] == 503
