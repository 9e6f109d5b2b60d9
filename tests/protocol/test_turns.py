"""Single facts about turns, on the real actors in a world that is moved step by step."""

from dapr.actor import ActorId
from pydantic_core import from_json

from agent_actors.protocol import wire
from agent_actors.protocol.codec import encode
from agent_actors.protocol.messages import Failure, Message
from agent_actors.state.documents.users import Memory
from agent_actors.users.memory import MemoryAgentActor
from tests.protocol.facts import (
    SIZES,
    an_event,
    an_object,
    in_a_world,
    let_all_through,
    taken,
    to_rest,
)
from tests.protocol.people import People
from tests.protocol.process import Process
from tests.protocol.scenarios import ACTORS, CHAT, Planned, Story
from tests.protocol.schedule import come_to_rest
from tests.protocol.verify import verify
from tests.protocol.world import World


@in_a_world
async def test_three_first_calls_at_once_run_one_after_another_on_one_activation(world: World):
    """Three first calls to a cold actor make three objects; one of them takes all three."""
    process, actor = world.processes[0], ACTORS[2]
    manager = process.managers[wire.MEMORY]
    async with manager._active_actors_lock:
        calls = [
            world.spawn(manager.dispatch(ActorId(actor[1]), "GetMemory", b""), process)
            for _ in range(3)
        ]
        await world.settle()
    await world.settle()

    assert world.seen["activation"] == 3
    while world.gates:
        assert len(world.gates) == 1
        await world.release(0)
    assert [call.result() for call in calls] == [b"[]"] * 3
    assert len(process.acted) == 1


@in_a_world
async def test_a_call_on_an_object_that_was_superseded_runs_on_the_newest(world: World):
    """Whichever object the SDK hands a call to, the recorded activation takes it."""
    process, former, newest = two_objects(world)
    calls = [world.spawn(each.get_memory(), process) for each in (former, newest)]
    await let_all_through(world)

    assert [call.result() for call in calls] == [(), ()]
    assert process.acted == {newest}


@in_a_world
async def test_an_object_that_is_superseded_in_its_turn_saves_nothing(world: World):
    """A turn that runs while another activation is made ends with an error and no save."""
    process, former = world.processes[0], an_object(world)
    call = world.spawn(former.update_memory(an_event(1)), process)
    await world.settle()
    an_object(world)
    await let_all_through(world)

    assert isinstance(call.result(), Failure)
    assert call.result().error.status == 503
    assert world.store[ACTORS[2]] == {}


@in_a_world
async def test_after_a_sidecar_was_restarted_a_call_runs_on_a_fresh_object(world: World):
    """What the SDK keeps of the time before is not used: its cache may be old."""
    process, former = world.processes[0], an_object(world)
    process.managers[wire.MEMORY]._active_actors[ACTORS[2][1]] = former
    world.sidecar.place[ACTORS[2]] = 0
    reading = world.spawn(process.services.actors.memory.recall("u"), process)
    await let_all_through(world)
    former.activations.withdraw_all()
    world.store[ACTORS[2]]["memory"] = encode(Memory(entries=(Message("user", "new"),)))
    again = world.spawn(process.services.actors.memory.recall("u"), process)
    await let_all_through(world)

    assert reading.result().entries == ()
    assert again.result().entries == (Message("user", "new"),)


@in_a_world
async def test_no_turn_waits_for_a_model_longer_than_the_parking_time(world: World):
    """While the model hangs, every turn of every actor has ended after the parking time."""
    world.model_pauses = (1e9,)
    people = People(world)
    for said in ("one", "two", "three"):
        world.spawn(people.say("u", "u", said, f"key-{said}", 20.0))
    await let_all_through(world)
    await world.advance(SIZES.parking_time)
    await let_all_through(world)

    assert world.sidecar.handlers == []
    assert [turn_id for _, turn_id in world.ledger.accepted]


@in_a_world
async def test_no_turn_outlasts_a_runtime_that_has_stopped_answering(world: World):
    """Wherever the store, the broker and the other actors fall silent, every turn still ends."""
    people = People(world)
    for steps in range(60):
        world.spawn(people.say("u", "u", f"m{steps}", f"K{steps}", 0.5))
        if CHAT in world.reminders:
            world.spawn(world.sidecar.fire(CHAT))
        await world.settle()
        for _ in range(steps):
            if world.gates:
                await world.release(0)
        await world.advance(SIZES.call_time * 12)

        assert world.sidecar.handlers == [], f"silent after {steps} steps"
    await come_to_rest(world)
    verify(world)


@in_a_world
async def test_the_end_of_a_parked_turn_is_offered_again(world: World):
    """A save that fails while a parked answer is delivered is tried again, without a reminder."""
    world.model_pauses = (2.0,)
    world.faults = Planned((("save", 1), "before"))
    world.spawn(People(world).say("u", "u", "said", "key", 20.0))
    for _ in range(12):
        await let_all_through(world)
        await world.advance(0.25)

    assert [record["status"] for record in world.ledger.outcomes["u"]] == ["done"]


@in_a_world
async def test_a_turn_that_waits_for_its_model_keeps_the_reminder(world: World):
    """A tick that finds it running, and nothing else to do, does not rest."""
    world.model_pauses = (60.0,)
    world.spawn(People(world).say("u", "u", "slow", "key", 0.0))
    await let_all_through(world)
    world.spawn(world.sidecar.fire(CHAT))
    await let_all_through(world)

    assert CHAT in world.reminders


@in_a_world
async def test_a_parked_turn_goes_on_when_it_is_asked_for(world: World):
    """After a crash, whoever asks for the turn does not wait for the reminder."""
    await parked_and_crashed(world)
    world.spawn(People(world).say("u", "u", "slow", "key", 0.0))
    await let_all_through(world)

    assert [record["status"] for record in world.ledger.outcomes["u"]] == ["done"]


@in_a_world
async def test_a_parked_turn_goes_on_when_its_conversation_is_told_of_another(world: World):
    """The turn of another service registers the reminder, which does not count as a drive."""
    await parked_and_crashed(world)
    world.spawn(People(world).tell("u", "u", "told"))
    await let_all_through(world)

    assert [record["status"] for record in world.ledger.outcomes["u"]] == ["done", "done"]


@in_a_world
async def test_a_read_that_outlives_its_turn_is_not_believed(world: World):
    """A turn reads two documents at once, one fails, and the other comes after the next turns."""
    memory = an_object(world)
    await taken(world, memory.update_memory(an_event(1)))
    memory.state.void()
    world.faults = Planned((("load", 1), "before"))
    world.spawn(memory.recall(), world.processes[0])
    for _ in ("the memory is read", "the profile is not"):
        await world.settle()
        await world.release(0)
    late = world.gates.pop()
    await taken(world, memory.update_memory(an_event(2)))
    world.gates.append(late)
    await let_all_through(world)
    await taken(world, memory.update_memory(an_event(3)))

    assert from_json(world.store[ACTORS[2]]["memory"])["events"] == 3


@in_a_world
async def test_an_actor_that_comes_back_does_not_trust_what_was_cached_meanwhile(world: World):
    """A request that reaches the app after its DELETE leaves no stale activation behind."""
    people, late = People(world), world.processes[1]
    world.sidecar.place[CHAT] = 0
    world.spawn(late.managers[CHAT[0]].dispatch(ActorId("u"), "GetConversationHistory", b""), late)
    await to_rest(world)
    world.spawn(people.say("u", "u", "first", "K1", 20.0))
    await to_rest(world)
    await world.deactivate(CHAT, 1)
    world.spawn(people.say("u", "u", "second", "K2", 20.0))
    await to_rest(world)

    verify(world)


@in_a_world
async def test_what_was_cleared_stays_until_every_consumer_has_it(world: World):
    """Its event may be lost, and lost again when it is published again."""
    people = People(world)
    world.spawn(people.say("u", "u", "first", "K1", 20.0))
    await let_all_through(world)
    world.broker.letters.clear()
    for work in (people.clear("u"), world.sidecar.fire(CHAT), world.sidecar.fire(CHAT)):
        world.spawn(work)
        await let_all_through(world)
        world.broker.letters.clear()
    await to_rest(world)

    verify(world)


@in_a_world
async def test_a_reminder_that_was_not_registered_is_not_believed_in(world: World):
    """After a registration that failed, the next turn registers before it saves."""
    people = People(world)
    world.spawn(people.say("u", "u", "first", "K1", 20.0))
    await to_rest(world)
    world.faults = Planned((("reminder", 0), "before"))
    for key in ("K2", "K3"):
        world.spawn(people.say("u", "u", key, key, 20.0))
        await let_all_through(world)

    assert len(world.ledger.outcomes["u"]) > 1
    assert CHAT in world.reminders
    await to_rest(world)
    verify(world)


def test_a_turn_costs_what_the_protocol_says():
    """A quick turn is 4 calls, 2 saves, an event; a parked one adds a call and a save."""
    assert _cost("quick") == (4, 2, 1)
    assert _cost("parked") == (5, 3, 1)
    # The second comes while the first is with the actor: it is queued durably, not in line.
    assert _cost("quick+2") == (9, 5, 2)
    assert _cost("parked+2") == (10, 6, 2)


def test_the_consumers_that_nobody_waits_for_share_calls():
    """Session and analytics take one call and one save each, however many turns came at once."""
    seen = Story("parked+2").tell().world.seen

    assert seen["call UpdateMemory"] == 2
    for method, actor in (("AddExchanges", wire.SESSION), ("CountTurns", wire.ANALYTICS)):
        assert 1 <= seen[f"call {method}"] == seen[f"save of {actor}"] <= 2


def _cost(story: str) -> tuple[int, int, int]:
    """Calls, saves and events of a story, but for the tick and what nobody waits for."""
    seen = Story(story).tell().world.seen
    assert seen["registered"] == 1
    aside = {"call GetMark", "call AddExchanges", "call CountTurns"}
    calls = sum(seen[each] for each in seen if each.startswith("call ") and each not in aside)
    saves = seen["save of ChatAgent"] + seen["save of MemoryAgentActor"]
    return calls, saves, seen["published"]


async def parked_and_crashed(world: World) -> None:
    """A turn is parked, then both processes start anew, and their model answers at once."""
    world.model_pauses = (60.0,)
    world.spawn(People(world).say("u", "u", "slow", "key", 0.0))
    await let_all_through(world)
    for process in list(world.processes):
        await world.crash(process)
    world.model_pauses = (0.0,)


def two_objects(world: World) -> tuple[Process, MemoryAgentActor, MemoryAgentActor]:
    """The process, and two objects of one actor in the order in which they were made."""
    return world.processes[0], an_object(world), an_object(world)
