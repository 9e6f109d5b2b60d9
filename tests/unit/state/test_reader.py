"""Reads of what is saved, without a turn."""

from dataclasses import replace

import pytest

from agent_actors.errors import AgentError, Gone, Invalid, NotFound, Unavailable
from agent_actors.protocol.ids import ActorRef
from agent_actors.protocol.messages import Message, Problem, TurnState
from agent_actors.state import slots
from agent_actors.state.cache import ActorState
from agent_actors.state.documents.conversation import (
    Head,
    OutcomeRecord,
    OutcomeRecords,
    QueuedTurn,
    Segment,
)
from agent_actors.state.documents.users import Mark, Memory
from agent_actors.state.reader import StateReader
from agent_actors.state.store import StateStore
from tests.fakes import FakeActorClient, a_pair, a_record, a_turn

CHAT = ActorRef("ChatAgent", "ada")
PROBLEM = Problem(502, "t", "d", "new-key")


async def fill(store: StateStore, head: Head, pairs: int = 0) -> None:
    """A conversation of that many pairs, the open segment in its head."""
    closed = {
        slots.segment(number): Segment(pairs=tuple(a_pair(8 * number + n) for n in range(1, 9)))
        for number in range(pairs // 8)
    }
    await ActorState(store, CHAT, may_act=lambda: None).save({slots.HEAD: head, **closed})


def a_head(pairs: int, **more: object) -> Head:
    """A head whose tail is the open segment."""
    tail = tuple(a_pair(seq) for seq in range(pairs - pairs % 8 + 1, pairs + 1))
    return Head(user="ada", seq=pairs, tail=tail, **more)  # type: ignore[arg-type]


def seqs(page: object) -> list[int]:
    return [pair.seq for pair in page.pairs]  # type: ignore[attr-defined]


async def test_an_unknown_conversation_is_empty(reader: StateReader):
    """There are no messages, no count and no memory, and that is no error."""
    assert await reader.count("nobody") == 0
    assert (await reader.history("nobody", 5)).pairs == ()
    assert await reader.memory("nobody") == Memory()
    assert await reader.mark("nobody", "nobody") == 0


async def test_pages_cover_the_whole_transcript(reader: StateReader, store: StateStore):
    """Page by page, each `next` the `before` of the next call, each pair comes once."""
    await fill(store, a_head(20), 20)
    found: list[int] = []
    before: int | None = None
    for _ in range(10):
        page = await reader.history("ada", 3, before)
        found = seqs(page) + found
        before = page.next
        if before is None:
            break

    assert found == list(range(1, 21))


@pytest.mark.parametrize(
    ("before", "shown", "next_page"),
    [(None, [19, 20], 19), (20, [18, 19], 18), (9, [7, 8], 7), (3, [1, 2], None),
     (2, [1], None), (1, [], None), (999, [19, 20], 19)],
)  # fmt: skip
async def test_a_page_is_below_its_number(
    reader: StateReader,
    store: StateStore,
    before: int | None,
    shown: list[int],
    next_page: int | None,
):
    """`before` is exclusive; a page that reaches the first pair has no next one."""
    await fill(store, a_head(20), 20)
    page = await reader.history("ada", 2, before)

    assert seqs(page) == shown
    assert page.next == next_page


async def test_cleared_pairs_are_not_shown(reader: StateReader, store: StateStore):
    """Pairs up to `start` are hidden although they are still stored."""
    await fill(store, a_head(20, start=18), 20)
    page = await reader.history("ada", 5)

    assert seqs(page) == [19, 20]
    assert page.next is None
    assert await reader.count("ada") == 20


@pytest.mark.parametrize(("pairs", "limit", "read"), [(23, 2, ["head"]), (20, 10, ["head", "h1"])])
async def test_a_history_reads_the_head_and_the_segments_it_shows(
    reader: StateReader,
    store: StateStore,
    client: FakeActorClient,
    pairs: int,
    limit: int,
    read: list[str],
):
    """The head first: a pair that moves into its segment meanwhile is missed in neither."""
    await fill(store, a_head(pairs), pairs)
    await reader.history("ada", limit)

    assert [entry[3] for entry in client.did("get")] == read


TURNS = a_head(
    20,
    recent=(
        a_record(0, 3),
        a_record(1, 20),
        OutcomeRecord(2, "failed", "", "b", "failed", None, PROBLEM),
    ),
    queue=(QueuedTurn(a_turn("a"), 1), QueuedTurn(a_turn("b"), 0)),
)


@pytest.mark.parametrize(
    "state",
    [
        TurnState("turn of a", "running"),
        TurnState("turn of b", "queued"),
        TurnState("turn 0", "done", a_pair(3).output),
        TurnState("turn 1", "done", a_pair(20).output),
        TurnState("failed", "failed", error=PROBLEM),
    ],
    ids=lambda state: state.turn_id,
)
async def test_where_a_turn_is(reader: StateReader, store: StateStore, state: TurnState):
    """In the queue, whose first one runs, or recorded, with its reply or its error."""
    await fill(store, TURNS, 20)

    assert await reader.turn("ada", state.turn_id) == state


@pytest.mark.parametrize(
    ("head", "turn_id", "error"),
    [
        (a_head(2, start=2, recent=(a_record(0, 1),)), "turn 0", Gone),
        (Head(seq=20, recent=(a_record(0, 1),)), "turn 0", Gone),
        (a_head(2), "another", NotFound),
    ],
    ids=["cleared", "erased", "unknown"],
)
async def test_a_turn_without_its_answer(
    reader: StateReader, store: StateStore, head: Head, turn_id: str, error: type[AgentError]
):
    """410 where its record is there and its pair is not; 404 where nothing is known of it."""
    await fill(store, head)

    with pytest.raises(error):
        await reader.turn("ada", turn_id)


async def test_an_older_record_is_found_in_its_document(reader: StateReader, store: StateStore):
    """Records that left the head are still known, as many as are kept."""
    head = a_head(3, recent=tuple(a_record(no, 1) for no in range(96, 100)))
    await fill(store, head)
    older = {slots.records(n): OutcomeRecords(records=(a_record(16 * n, 1),)) for n in (0, 5)}
    await ActorState(store, CHAT, may_act=lambda: None).save(older)

    assert (await reader.turn("ada", "turn 80")).status == "done"
    with pytest.raises(NotFound):
        await reader.turn("ada", "turn 0")


async def test_memory_and_mark_are_those_of_the_user(reader: StateReader, store: StateStore):
    """They lie with the memory actor, the mark under its conversation."""
    memory = ActorState(store, ActorRef("MemoryAgentActor", "memory-ada"), may_act=lambda: None)
    remembered = Memory(entries=(Message("user", "hi"),), events=1)
    await memory.save({slots.MEMORY: remembered, slots.mark("ada"): Mark(seq=4)})

    assert await reader.memory("ada") == remembered
    assert await reader.mark("ada", "ada") == 4


@pytest.mark.parametrize("read", ["head", "count", "memory"])
async def test_a_broken_store_is_an_error(reader: StateReader, client: FakeActorClient, read: str):
    """No read turns a failure into an empty answer."""
    client.fail("get", Unavailable("away"))

    with pytest.raises(Unavailable):
        await getattr(reader, read)("ada")


async def test_a_page_of_long_texts_is_shorter(
    reader: StateReader, store: StateStore, monkeypatch: pytest.MonkeyPatch
):
    """The size of a page is bounded as well; `next` leads to the rest."""
    monkeypatch.setattr("agent_actors.state.reader.PAGE_BYTES", 100)
    await fill(store, a_head(100), 100)
    page = await reader.history("ada", 500)

    assert seqs(page) == list(range(73, 101))
    assert page.next == 73
    assert seqs(await reader.history("ada", 500, page.next)) == list(range(41, 73))


async def test_a_turn_that_is_sent_again_is_known(reader: StateReader, store: StateStore):
    """By its id or its key; a new one has no state, and one that cannot be is refused."""
    kept, waiting = a_turn("kept", key="k"), a_turn("waiting")
    record = replace(a_record(0, 1), key_hash=kept.key_hash, body_hash=kept.body_hash)
    await fill(store, a_head(1, recent=(record,), queue=(QueuedTurn(waiting, 0),)))

    assert await reader.sent_turn("ada", kept) == TurnState("turn 0", "done", a_pair(1).output)
    assert await reader.sent_turn("ada", waiting) == TurnState(waiting.turn_id, "running")
    assert await reader.sent_turn("ada", a_turn("new")) is None
    with pytest.raises(NotFound):
        await reader.sent_turn("ada", a_turn("hi", user="eve"))
    with pytest.raises(Invalid):
        await reader.sent_turn("ada", a_turn("other", key="k"))
    await fill(store, a_head(1, ended="closed"))
    with pytest.raises(Gone):
        await reader.sent_turn("ada", a_turn("hi"))
