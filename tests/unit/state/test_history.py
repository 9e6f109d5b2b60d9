"""The history of a conversation, wherever its documents come from."""

from collections.abc import Sequence
from dataclasses import replace

from agent_actors.state import slots
from agent_actors.state.documents.conversation import Head, OutcomeRecords, Segment
from agent_actors.state.history import History
from agent_actors.state.slots import D, Slot
from tests.fakes import a_pair, a_record, a_turn


class Documents:
    """Documents by key, and which of them were read."""

    def __init__(self, **stored: object) -> None:
        self.stored = stored
        self.read: list[str] = []

    async def load(self, slot: Slot[D]) -> D | None:
        self.read.append(slot.key)
        found = self.stored.get(slot.key)
        assert found is None or isinstance(found, slot.kind)
        return found

    async def load_all(self, wanted: Sequence[Slot[D]]) -> list[D]:
        found = [await self.load(slot) for slot in wanted]
        return [document for document in found if document is not None]


def a_segment(first: int, last: int) -> Segment:
    return Segment(pairs=tuple(a_pair(seq) for seq in range(first, last + 1)))


async def test_a_pair_is_in_the_tail_or_in_its_segment():
    """Only for the latter a document is read; a pair that is stored nowhere is none."""
    documents = Documents(h0=a_segment(1, 8))
    history = History(documents, 32)
    head = Head(seq=10, tail=(a_pair(9), a_pair(10)))

    assert await history.pair(head, 10) == a_pair(10)
    assert documents.read == []
    assert await history.pair(head, 3) == a_pair(3)
    assert documents.read == ["h0"]
    assert await history.pair(Head(seq=20), 12) is None


async def test_pairs_come_from_segments_and_tail():
    """A segment that was moved early is continued in the tail."""
    documents = Documents(h0=a_segment(1, 8), h1=a_segment(9, 10))
    head = Head(seq=12, tail=(a_pair(11), a_pair(12)))
    pairs = await History(documents, 32).pairs(head, 7, 12)

    assert [pair.seq for pair in pairs] == [7, 8, 9, 10, 11, 12]
    assert documents.read == [slots.segment(0).key, slots.segment(1).key]


async def test_records_are_sought_in_the_documents_that_are_kept():
    """Sixteen records a document; none is read if the head knows the turn, or has no records."""
    documents = Documents(r28=OutcomeRecords(records=(a_record(450, 1),)))
    history = History(documents, 32)
    head = Head(seq=1, tail=(a_pair(1),), recent=(a_record(480, 1),))

    assert await history.record(head, "turn 480") == a_record(480, 1)
    assert await history.record(Head(), "turn 450") is None
    assert documents.read == []
    assert await history.record(head, "turn 450") == a_record(450, 1)
    assert documents.read == ["r28", "r29"]
    documents.read.clear()
    assert await history.record(replace(head, recent=(a_record(5),)), "new") is None
    assert documents.read == []


async def test_the_newest_record_of_a_key_counts():
    """A key that was used again after its first outcome was forgotten."""
    first, again = (replace(a_record(no, no + 1), key_hash="k") for no in (0, 16))
    documents = Documents(r0=OutcomeRecords(records=(first,)), r1=OutcomeRecords(records=(again,)))
    head = Head(recent=(a_record(32),))

    assert await History(documents, 32).record(head, "?", "k") == again


async def test_a_turn_that_was_sent_before_has_its_reply():
    """The record has the number of its pair; a new turn has no state."""
    turn = a_turn("hi", key="k")
    record = replace(a_record(0, 3), key_hash=turn.key_hash, body_hash=turn.body_hash)
    head = Head(seq=9, tail=(a_pair(9),), recent=(record,))
    state = await History(Documents(h0=a_segment(1, 8)), 32).sent_turn(head, turn)

    assert state is not None
    assert (state.status, state.reply) == ("done", a_pair(3).output)
    assert await History(Documents(), 32).sent_turn(head, a_turn("new", key="l")) is None
