"""Single facts about consumers of events, adopted turns, and users who are forgotten."""

from pydantic_core import from_json

from agent_actors.conversation.queue import TRIES
from agent_actors.protocol import wire
from agent_actors.protocol.ids import ActorRef
from agent_actors.protocol.messages import (
    ConversationSummary,
    ForgetConversation,
    ForgetUser,
    HighWaterMark,
    Person,
    UserSummary,
)
from tests.protocol.facts import (
    an_event,
    an_object,
    in_a_world,
    let_all_through,
    let_through,
    taken,
    to_rest,
)
from tests.protocol.people import People
from tests.protocol.scenarios import CHAT, Planned
from tests.protocol.verify import verify
from tests.protocol.world import World


@in_a_world
async def test_a_consumer_that_was_added_later_begins_behind_what_was_erased(world: World):
    """What is erased nobody can publish again: every consumer of then had it."""
    people, late = People(world), ActorRef(wire.SESSION, "u")
    for number in range(3):
        world.spawn(people.say("u", "u", f"m{number}", f"K{number}", 20.0))
        await to_rest(world)
    world.spawn(people.clear("u"))
    await to_rest(world)
    del world.store[late]
    await world.deactivate(late, 0)
    world.faults = Planned((("publish", 0), "before"))
    world.spawn(people.say("u", "u", "new", "K3", 20.0))
    await let_all_through(world)
    await to_rest(world)

    assert from_json(world.store[late]["s:u"])["seq"] == 4
    assert [each["message"] for each in from_json(world.store[late]["exchanges"])["exchanges"]] == [
        "new"
    ]


@in_a_world
async def test_a_turn_that_is_adopted_does_not_restart_the_queues_first(world: World):
    """A message that ends its process is not run more often, whatever else is said meanwhile."""
    people = People(world)
    world.model_pauses = (2.0,)
    world.poison.add("deadly")
    for said in ("slow", "deadly"):
        world.spawn(people.say("u", "u", said, said, 0.0))
        await let_all_through(world)
    await world.advance(2.0)
    for number in range(9):
        await let_all_through(world)
        world.spawn(people.tell("u", "u", f"t{number}"))
        await let_all_through(world)
        if CHAT in world.reminders:
            world.spawn(world.sidecar.fire(CHAT))
    await to_rest(world)

    assert world.seen["killed by the model"] == TRIES
    verify(world)


@in_a_world
async def test_a_turn_that_is_adopted_leaves_the_count_of_starts_alone(world: World):
    """The queue's first turn runs for the second time: its process might be killed by it."""
    people = People(world)
    world.model_pauses = (60.0,)
    world.spawn(people.say("u", "u", "slow", "key", 0.0))
    await let_all_through(world)
    for process in list(world.processes):
        await world.crash(process)
    world.spawn(people.tell("u", "u", "told"))
    await let_all_through(world)
    head = from_json(world.store[CHAT]["head"])

    assert (head["seq"], [queued["tries"] for queued in head["queue"]]) == (1, [2])


@in_a_world
async def test_a_summary_that_was_under_way_when_its_user_was_forgotten_is_ignored(world: World):
    """Also where as much has been said since as it knows of."""
    memory = an_object(world)
    await taken(world, memory.update_memory(an_event(1)))
    await taken(world, memory.forget(ForgetUser((HighWaterMark("u", 1),), 0.0)))
    await taken(world, memory.update_memory(an_event(2)))
    await taken(world, memory.keep_summary(UserSummary(1, "What was said before.")))

    assert (await taken(world, memory.recall())).person == Person.new("u")


@in_a_world
async def test_a_session_whose_user_was_forgotten_takes_no_turn(world: World):
    """Whatever is sent to it later, it stays closed and empty."""
    people = People(world)
    for said, ended in (("first", "done"), ("second", "410")):
        turn = world.spawn(people.say("session:s", "u", said, said, 20.0))
        await to_rest(world)
        world.spawn(people.forget("u"))
        await to_rest(world)

        assert turn.result() == ended
    verify(world)


@in_a_world
async def test_an_event_that_is_on_its_way_when_its_user_is_forgotten_has_no_effect(world: World):
    """The marks move past it; the deletion does not wait for it either."""
    people = People(world)
    world.spawn(people.say("u", "u", "said", "key", 20.0))
    await let_all_through(world)
    assert world.broker.letters
    world.spawn(people.forget("u"))
    await let_all_through(world)

    assert world.seen["forgotten"] == 1
    await to_rest(world)
    verify(world)


@in_a_world
async def test_no_summary_of_a_conversation_outlives_its_user(world: World):
    """Neither one that was kept nor one that was under way."""
    people, process = People(world), world.processes[0]
    for said in ("first", "second"):
        world.spawn(people.say("u", "u", said, said, 20.0))
        await to_rest(world)
    answers = [pair["output"]["content"] for pair in world.ledger.pairs["u"].values()]
    await taken(
        world, process.services.actors.chat.sum_up("u", ConversationSummary(0, 1, answers[0]))
    )
    world.spawn(people.forget("u"))
    await to_rest(world)
    await taken(
        world, process.services.actors.chat.sum_up("u", ConversationSummary(2, 2, answers[1]))
    )

    assert world.seen["forgotten"] == 1
    verify(world)


@in_a_world
async def test_a_deletion_that_broke_off_leaves_no_text_in_the_conversation(world: World):
    """What it has hidden is erased, also if nobody sends it again."""
    world.spawn(People(world).say("u", "u", "said", "key", 20.0))
    await to_rest(world)
    process = world.processes[0]
    world.spawn(
        process.services.actors.chat.forget("u", ForgetConversation("u", close=False)), process
    )
    await to_rest(world)

    assert b"said" not in b"".join(world.store[CHAT].values())
    assert not world.reminders


@in_a_world
async def test_a_page_of_sessions_is_dropped_once_though_its_turn_runs_again(world: World):
    """A deletion whose actor is moved after it has dropped a page still finds the other ones."""
    people = People(world)
    for name in ("session:s", "session:t"):
        world.spawn(people.say(name, "u", name, name, 20.0))
        await to_rest(world)
    world.spawn(people.forget("u"))
    await let_through(world, "was saved UserSessionActor u", "DropSessions")
    await world.deactivate(ActorRef(wire.SESSION, "u"), 1, again=True)
    await to_rest(world)

    assert world.seen["forgotten"] == 1
    verify(world)
