import asyncio
import json

import pytest

from agent_actors.errors import Defect, Invalid, Unavailable
from tests.conformance.probe import PROBE
from tests.hand_clock import settle
from tests.unit.runtime.embedded.conftest import World

SET = '[{"operation":"upsert","request":{"key":"k","value":%s}}]'


async def test_only_an_active_actor_saves(world: World):
    """A save for an actor that was put away, or never called, is refused (I1)."""
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


@pytest.mark.parametrize(
    "value", ["null", "1.5", "12345678901234567890123", '{"b":1,"a":[null,{}]}', '"\\u2028\\n"']
)
async def test_json_is_kept_as_it_is(world: World, value: str):
    """Numbers, null and the order of keys come back as they were."""
    await world.call("a", "Save", SET % value)
    saved = await world.runtime.actor_client.get_state(PROBE, "a", "k")

    assert json.loads(saved) == json.loads(value)
    assert list(json.loads(saved)) == list(json.loads(value)) if value[0] == "{" else True


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


async def test_timers_are_refused_by_name(world: World):
    """A timer is refused with a sentence, not forgotten in silence."""
    client = world.runtime.actor_client

    with pytest.raises(Invalid, match="The timer 't' of Probe/a cannot be"):
        await client.register_timer(PROBE, "a", "t", b"{}")
    with pytest.raises(Invalid, match="use a reminder"):
        await client.unregister_timer(PROBE, "a", "t")
