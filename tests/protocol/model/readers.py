"""Reads without a turn (I9): the head first, the documents that it points to after (4.25)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.protocol.model.documents import (
    CHAT,
    SEGMENT,
    Actor,
    Answer,
    Head,
    Pair,
    Record,
    find_pair,
    find_record,
    segment_of,
)
from tests.protocol.model.steps import Steps, Violation

if TYPE_CHECKING:
    from tests.protocol.model.world import World

Read = Callable[[str], Steps[Any]]
"""Reads a document of one conversation by its key; None where there is none."""


def reader(world: "World", conversation: str) -> Read:
    """Reads what is stored, with a step before each document."""

    def read(key: str) -> Steps[Any]:
        yield None
        return world.store[Actor(CHAT, conversation)].get(key)

    return read


def read_head(world: "World", conversation: str) -> Steps[Head]:
    """The head; an empty one before the first turn."""
    head: Head | None = yield from reader(world, conversation)("head")
    return head or Head()


def read_pairs(
    world: "World", conversation: str, head: Head, first: int, last: int
) -> Steps[list[Pair]]:
    """The pairs from `first` to `last` that are stored, as a reader of this head finds them."""
    read = reader(world, conversation)
    found = {pair.seq: pair for pair in head.tail}
    for number in range(segment_of(first), segment_of(last) + 1):
        wanted = range(max(first, number * SEGMENT + 1), min(last, (number + 1) * SEGMENT) + 1)
        if not all(seq in found for seq in wanted):
            found |= {pair.seq: pair for pair in (yield from read(f"h{number}")) or ()}
    # A segment may be newer than the head: nothing above the head's number is shown.
    return [found[seq] for seq in range(first, last + 1) if seq in found]


def read_history(world: "World", conversation: str) -> Steps[dict[int, Pair]]:
    """The whole visible history, by number."""
    early: list[tuple[Pair, ...]] = []
    if world.mutated("segments_first"):
        read = reader(world, conversation)
        while segment := (yield from read(f"h{len(early)}")):
            early.append(segment)
    head = yield from read_head(world, conversation)
    if world.mutated("segments_first"):
        there = [pair for segment in (*early, head.tail) for pair in segment]
        return {pair.seq: pair for pair in there if head.start < pair.seq <= head.seq}
    pairs = yield from read_pairs(world, conversation, head, head.start + 1, head.seq)
    return {pair.seq: pair for pair in pairs}


def find_outcome(
    sizes: tuple[int, int], head: Head, turn: tuple[str, str], read: Read
) -> Steps[Record | None]:
    """How a turn ended, by its id and key: in the head, else in the older documents, newest first.

    Args:
        sizes: Outcomes remembered, and how many of them in the head.
        head: The conversation's.
        turn: Its id and key.
        read: Reads an older document.
    """
    kept, recent = sizes
    found = find_record(head.recent, *turn)
    if found is not None or not head.recent:
        return found
    half = recent // 2
    first = head.recent[0].no // half
    for number in range(first - 1, max(first - kept // half, 0) - 1, -1):
        found = find_record((yield from read(f"r{number}")) or (), *turn)
        if found is not None:
            return found
    return None


def read_turn(world: "World", conversation: str, turn_id: str) -> Steps[Answer | None]:
    """Where a turn is; None where it has no end yet, or none any more."""
    read = reader(world, conversation)
    head = yield from read_head(world, conversation)
    sizes = (world.sizes.kept, world.sizes.recent)
    record = yield from find_outcome(sizes, head, (turn_id, ""), read)
    if record is None:
        return None
    if not record.seq:
        return Answer("failed", record.error, turn_id)
    if record.seq <= head.start:
        return Answer("gone", turn_id=turn_id)
    pair = find_pair(head.tail, record.seq)
    if pair is None:
        pair = find_pair((yield from read(f"h{segment_of(record.seq)}")) or (), record.seq)
    if pair is not None:
        return Answer("done", pair.answer, turn_id)
    if world.store[Actor(CHAT, conversation)]["head"].start < record.seq:
        raise Violation(f"a reader misses the answer of {turn_id}")
    return Answer("gone", turn_id=turn_id)
