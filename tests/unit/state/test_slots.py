"""The state of an actor: reads, saves, and the cache."""

import asyncio

import pytest

from agent_actors.errors import Deactivated, Defect, Unavailable
from agent_actors.protocol.ids import ActorRef
from agent_actors.state import slots
from agent_actors.state.cache import ActorState, ReadTracker
from agent_actors.state.documents.conversation import Head, OutcomeRecords, Segment
from agent_actors.state.documents.users import Mark, Memory, Profile
from agent_actors.state.store import StateStore
from tests.fakes import FakeActorClient, a_pair
from tests.hand_clock import HandClock, settle

ACTOR = ActorRef("ChatAgent", "ada")


@pytest.fixture
def state(store: StateStore) -> ActorState:
    return ActorState(store, ACTOR, may_act=lambda: None)


async def test_broken_is_not_absent(state: ActorState, client: FakeActorClient):
    """A store that fails is an error, and the next read goes to it again."""
    client.state[ACTOR]["head"] = b'{"v":1,"seq":7}'
    client.fail("get", Unavailable("away"))
    with pytest.raises(Unavailable):
        await state.load(slots.HEAD)

    assert await state.load(slots.HEAD) == Head(seq=7)


async def test_a_read_that_outlives_its_turn_is_not_remembered(
    state: ActorState, client: FakeActorClient
):
    """Of two reads at once one has failed; the other ends after what later turns have saved."""
    slow = client.hold("get")
    reading = asyncio.create_task(state.load(slots.HEAD))
    await settle()
    state.end_turn()
    await state.save({slots.HEAD: Head(seq=2)})
    client.state[ACTOR]["head"] = b'{"v":1,"seq":1}'
    slow.set()

    assert (await reading, await state.load(slots.HEAD)) == (Head(seq=1), Head(seq=2))


async def test_unreadable_is_not_absent(state: ActorState, client: FakeActorClient):
    """A document that cannot be read is an error, too."""
    client.state[ACTOR]["head"] = b'{"v":99}'

    with pytest.raises(Defect):
        await state.load(slots.HEAD)


async def test_a_slow_read_ends(state: ActorState, client: FakeActorClient, clock: HandClock):
    """A read that gets no answer ends after the call time."""
    client.hold("get")
    load = asyncio.create_task(state.load(slots.HEAD))
    await settle()
    await clock.advance(5)

    with pytest.raises(Unavailable):
        await load


async def test_a_slow_save_ends_and_voids(
    state: ActorState, client: FakeActorClient, clock: HandClock
):
    """A save that gets no answer ends after the call time; the next read goes to the store."""
    await state.load(slots.HEAD)
    client.hold("save")
    save = asyncio.create_task(state.save({slots.HEAD: Head(seq=1)}))
    await settle()
    await clock.advance(5)

    with pytest.raises(Unavailable):
        await save
    assert await state.load(slots.HEAD) is None
    assert len(client.did("get")) == 2


async def test_a_document_is_read_once(state: ActorState, client: FakeActorClient):
    """A missing one, which is none, as well is read once per activation."""
    for _ in range(2):
        assert await state.load(slots.HEAD) is None

    assert len(client.did("get")) == 1


async def test_a_closed_segment_is_not_kept(state: ActorState, client: FakeActorClient):
    """Segments are read each time, so that a long history costs no memory."""
    await state.save({slots.segment(0): Segment(pairs=(a_pair(1),))})

    assert await state.load(slots.segment(0)) == Segment(pairs=(a_pair(1),))
    assert await state.load(slots.segment(0)) == Segment(pairs=(a_pair(1),))
    assert len(client.did("get")) == 2


async def test_a_save_is_one_transaction(state: ActorState, client: FakeActorClient):
    """Several documents, also deleted ones, go in one call."""
    client.state[ACTOR]["h0"] = b"{}"
    await state.save(
        {slots.MEMORY: Memory(), slots.mark("ada"): Mark(seq=1), slots.segment(0): None}
    )

    assert client.did("save") == [("save", *ACTOR, "memory", "s:ada", "h0")]
    assert client.value(ACTOR, slots.mark("ada")) == {"v": 2, "seq": 1, "forgotten": 0}
    assert "h0" not in client.state[ACTOR]


@pytest.mark.parametrize("head", [Head(seq=3), None])
async def test_what_was_saved_is_believed(
    state: ActorState, client: FakeActorClient, head: Head | None
):
    """After a save no read is needed; what was deleted is absent."""
    await state.save({slots.HEAD: Head(seq=2)})
    await state.save({slots.HEAD: head})

    assert await state.load(slots.HEAD) == head
    assert head is None or not client.did("get")


@pytest.mark.parametrize("worked", [False, True])
@pytest.mark.parametrize("error", [Unavailable("away"), RuntimeError("odd"), KeyError("odd")])
async def test_an_error_of_a_save_voids_the_cache(
    state: ActorState, client: FakeActorClient, error: BaseException, worked: bool
):
    """Whatever the error, the whole cache goes, since the save may have worked."""
    await state.save({slots.HEAD: Head(seq=1), slots.MEMORY: Memory()})
    client.fail("save", error, after=worked)
    with pytest.raises(type(error)):
        await state.save({slots.HEAD: Head(seq=2)})

    assert await state.load(slots.HEAD) == Head(seq=2 if worked else 1)
    assert await state.load(slots.MEMORY) == Memory()
    assert len(client.did("get")) == 2


async def test_a_cancelled_save_voids_the_cache(state: ActorState, client: FakeActorClient):
    """A turn that is cut in its save does not leave its value behind."""
    await state.save({slots.HEAD: Head(seq=1)})
    client.hold("save")
    save = asyncio.create_task(state.save({slots.HEAD: Head(seq=2)}))
    await settle()
    save.cancel()
    await asyncio.wait({save})

    assert save.cancelled()
    assert await state.load(slots.HEAD) == Head(seq=1)
    assert len(client.did("get")) == 1


async def test_an_activation_that_may_not_act_saves_nothing(
    client: FakeActorClient, store: StateStore
):
    """An activation that was deactivated does not reach the store."""

    def refuse() -> None:
        raise Deactivated("away")

    state = ActorState(store, ACTOR, may_act=refuse)

    with pytest.raises(Deactivated):
        await state.save({slots.HEAD: Head(seq=1)})
    assert not client.did("save")


async def test_several_documents_come_in_order(state: ActorState):
    """Those that exist, in the order of the slots."""
    await state.save({slots.segment(2): Segment(pairs=(a_pair(17),)), slots.segment(0): Segment()})
    found = await state.load_all([slots.segment(number) for number in range(3)])

    assert found == [Segment(), Segment(pairs=(a_pair(17),))]


async def test_what_another_turn_saved_is_not_overwritten(
    state: ActorState, client: FakeActorClient
):
    """A turn that has read a document before another turn saved it must read it again."""
    with ReadTracker():
        await state.load(slots.HEAD)
        with ReadTracker():
            await state.save({slots.HEAD: Head(seq=1)})
        with pytest.raises(Unavailable, match="nothing was saved"):
            await state.save({slots.MEMORY: Memory(), slots.HEAD: Head(seq=9)})

        assert client.value(ACTOR, slots.HEAD)["seq"] == 1
        assert client.value(ACTOR, slots.MEMORY) is None

        head = await state.load(slots.HEAD)

        assert head == Head(seq=1)

        await state.save({slots.HEAD: Head(seq=2)})
        await state.save({slots.HEAD: Head(seq=3)})

    assert await state.load(slots.HEAD) == Head(seq=3)


async def test_a_document_that_was_not_read_is_saved(state: ActorState):
    """Only what a turn has read can have changed under it."""
    with ReadTracker():
        await state.load(slots.HEAD)
        with ReadTracker():
            await state.save({slots.MEMORY: Memory(), slots.PROFILE: Profile()})
        await state.save({slots.HEAD: Head(seq=1), slots.MEMORY: Memory()})

    assert await state.load(slots.HEAD) == Head(seq=1)


@pytest.mark.parametrize("worked", [False, True])
async def test_a_save_with_an_unknown_end_counts_as_one(
    state: ActorState, client: FakeActorClient, worked: bool
):
    """After it others must read again, while the turn that tried may try again."""
    with ReadTracker():
        await state.load(slots.HEAD)
        client.fail("save", Unavailable("away"), after=worked)
        with ReadTracker():
            with pytest.raises(Unavailable, match="away"):
                await state.save({slots.HEAD: Head(seq=1)})
            await state.save({slots.HEAD: Head(seq=2)})
        with pytest.raises(Unavailable, match="call back"):
            await state.save({slots.HEAD: Head(seq=9)})

    assert await state.load(slots.HEAD) == Head(seq=2)


async def test_a_deletion_by_another_turn_is_seen(state: ActorState):
    """A document that was there when a turn read it, and is not any more, is not saved again."""
    await state.save({slots.HEAD: Head(seq=1)})
    with ReadTracker():
        await state.load_all([slots.HEAD])
        with ReadTracker():
            await state.save({slots.HEAD: None})
        with pytest.raises(Unavailable, match="call back"):
            await state.save({slots.HEAD: Head(seq=2)})

        assert await state.load(slots.HEAD) is None


async def test_two_saves_of_a_document_at_once_are_not_both_believed(
    state: ActorState, client: FakeActorClient
):
    """While one turn saves a document another cannot, and what that one read is old."""

    async def late() -> None:
        with ReadTracker():
            await state.load(slots.HEAD)
            with pytest.raises(Unavailable, match="call back"):
                await state.save({slots.HEAD: Head(seq=8)})
            gate.set()
            await saving
            with pytest.raises(Unavailable, match="call back"):
                await state.save({slots.HEAD: Head(seq=9)})

    async def early() -> None:
        with ReadTracker():
            await state.save({slots.HEAD: Head(seq=1)})

    gate = client.hold("save")
    saving = asyncio.create_task(early())
    await settle()
    await late()

    assert await state.load(slots.HEAD) == Head(seq=1)


async def test_a_read_does_not_hide_a_save_that_overtook_it(
    state: ActorState, client: FakeActorClient
):
    """What is read while another turn saves is not kept: the next read finds the save."""
    await state.save({slots.PROFILE: Profile()})
    slow = client.hold("get")
    with ReadTracker():
        read = asyncio.create_task(state.load(slots.HEAD))
        await settle()
        client.state[ACTOR].pop("head", None)
        with ReadTracker():
            await state.save({slots.HEAD: Head(seq=1)})
        client.state[ACTOR]["head"] = b'{"v":1,"seq":0}'
        slow.set()
        await read

    assert await state.load(slots.HEAD) == Head(seq=1)


async def test_reading_several_outlives_a_void(state: ActorState, client: FakeActorClient):
    """A document that was cached at first is among them, even if the cache is void by then."""
    await state.save({slots.records(0): OutcomeRecords()})
    slow = client.hold("get")
    read = asyncio.create_task(state.load_all([slots.records(0), slots.records(1)]))
    await settle()
    state.void()
    slow.set()

    assert await read == [OutcomeRecords()]


async def test_what_was_saved_is_forgotten_with_the_last_turn(state: ActorState):
    """Only overlapping turns need to know of saves: nothing grows with the keys."""
    state.begin_turn()
    state.begin_turn()
    for number in range(20):
        await state.save({slots.segment(number): None})
    state.end_turn()
    assert len(state._saved) == 20
    state.end_turn()

    assert not state._saved
