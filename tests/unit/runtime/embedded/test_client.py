import asyncio
from typing import Any

import pytest
from dapr.actor import ActorRuntime
from dapr.common.reentrancy_context import reentrancy_ctx

from agent_actors.errors import Defect, Invalid, Unavailable
from agent_actors.settings.actors import ActorRules
from tests.conformance.probe import PROBE
from tests.hand_clock import settle
from tests.unit.runtime.embedded.conftest import World

SET = '[{"operation":"upsert","request":{"key":"k","value":%s}}]'


async def test_only_an_active_actor_saves(world: World):
    """A save for an actor that was deactivated, or never called, is refused (I1)."""
    client = world.runtime.actor_client
    with pytest.raises(Unavailable, match="Probe/a is not active; nothing was saved"):
        await client.save_state_transactionally(PROBE, "a", (SET % 1).encode())
    await world.call("a", "Echo", "x")
    await client.save_state_transactionally(PROBE, "a", (SET % 2).encode())
    await world.clock.advance(60)
    with pytest.raises(Unavailable):
        await client.save_state_transactionally(PROBE, "a", (SET % 3).encode())

    assert await client.get_state(PROBE, "a", "k") == b"2"


async def test_state_of_an_unknown_type_is_empty(world: World):
    """Reading needs no actor, no turn and no registration."""
    assert await world.runtime.actor_client.get_state("Nobody", "a", "k") == b""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '[{"operation":"replace","request":{"key":"k","value":1}}]',
        '[{"operation":"upsert","request":{"value":1}}]',
        '[{"operation":"delete"}]',
    ],
)
async def test_a_malformed_transaction_changes_nothing(world: World, text: str):
    """A transaction of another form is refused as a whole."""
    await world.call("a", "Echo", "x")
    with pytest.raises(Invalid, match="malformed"):
        await world.runtime.actor_client.save_state_transactionally(PROBE, "a", text.encode())
    with pytest.raises(Defect):
        await world.call("a", "Save", (SET % 1)[:-1] + ",7]")

    assert await world.runtime.actor_client.get_state(PROBE, "a", "k") == b""


async def test_the_later_change_of_a_key_counts(world: World):
    """Changes of one transaction are made in their order."""
    delete = '{"operation":"delete","request":{"key":"k"}}'
    await world.call("a", "Save", (SET % 1)[:-1] + "," + (SET % 2)[1:-1] + "]")

    assert await world.runtime.actor_client.get_state(PROBE, "a", "k") == b"2"

    await world.call("a", "Save", (SET % 3)[:-1] + "," + delete + "]")

    assert await world.runtime.actor_client.get_state(PROBE, "a", "k") == b""


async def test_reads_do_not_wait_for_writes(world: World):
    """A read is answered while a save of another actor is on its way to the disk."""
    save = asyncio.create_task(world.call("a", "Save", SET % 1))
    await asyncio.wait([save], timeout=0)

    assert await world.runtime.actor_client.get_state(PROBE, "b", "k") == b""

    await save
    await settle()


async def test_only_an_active_actor_has_timers(world: World):
    """A timer for an actor that is not here is an error; there is nothing to unregister."""
    client = world.runtime.actor_client

    with pytest.raises(Unavailable, match="Probe/a is not active; it has no timers"):
        await client.register_timer(PROBE, "a", "t", b"{}")
    await client.unregister_timer(PROBE, "a", "t")
    await world.call("a", "Echo", "x")
    with pytest.raises(Invalid, match="The timer is malformed"):
        await client.register_timer(PROBE, "a", "t", b"null")


async def test_a_call_carries_the_reentrancy_id_of_its_turn(unstarted: World):
    """The id of the chain is handed on, also by a type that lets nobody back in."""
    unstarted.settings["actor_types"] = {PROBE: {"reentrancy_depth": 2}}
    await unstarted.start()
    seen: list[str | None] = []
    dispatch = ActorRuntime.dispatch.__func__  # type: ignore[attr-defined]

    async def noting(kind: type[ActorRuntime], *call: Any) -> bytes:
        seen.append(call[4])
        answer: bytes = await dispatch(kind, *call)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ActorRuntime, "dispatch", classmethod(noting))
        await unstarted.call("a", "Pass", ["b", "a"])
        await unstarted.call("a", "Pass", [])
        unstarted.runtime._turns._rules_of = lambda _: ActorRules(60, 7)
        await unstarted.call("a", "Pass", ["b"])
        token = reentrancy_ctx.set("chain")
        await unstarted.call("a", "Pass", ["b"])
        reentrancy_ctx.reset(token)

    first, *chain = seen[:3]

    assert first is not None
    assert chain == [first, first]
    assert seen[3] not in {None, first}
    assert seen[4:] == [None, None, "chain", "chain"]
