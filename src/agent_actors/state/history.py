"""The history of one conversation: its pairs and outcomes, in the head and in older documents.

Actors and readers share it. They differ in where documents come from: an actor's `ActorState`
caches them for its activation, a reader's `StoredActor` reads each of them from the store.

The head is always read first, by the caller, and the documents it points to after: a pair that has
left the tail of that head is already in its segment, or was cleared (4.25, docs/protocol.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agent_actors.protocol.messages import Turn, TurnState
from agent_actors.state import slots
from agent_actors.state.documents.conversation import (
    RECORDS,
    Head,
    OutcomeRecord,
    Pair,
    find_record,
    segment_of,
)
from agent_actors.state.slots import D, Slot
from agent_actors.state.turn_position import position_of


class DocumentSource(Protocol):
    """The documents of one actor."""

    async def load(self, slot: Slot[D]) -> D | None:
        """A document; None if there is none."""
        ...

    async def load_all(self, wanted: Sequence[Slot[D]]) -> list[D]:
        """Those of the documents that exist, in order."""
        ...


@dataclass(frozen=True, slots=True)
class History:
    """Reads the pairs and outcomes of one conversation, which keeps `outcomes_kept` of these."""

    source: DocumentSource
    outcomes_kept: int

    async def segment(self, number: int) -> tuple[Pair, ...]:
        """The stored pairs of a segment."""
        document = await self.source.load(slots.segment(number))
        return document.pairs if document else ()

    async def pair(self, head: Head, seq: int) -> Pair | None:
        """Pair number `seq`, if it is stored."""
        pairs = await self.pairs(head, seq, seq)
        return pairs[0] if pairs else None

    async def pairs(self, head: Head, first: int, last: int) -> tuple[Pair, ...]:
        """The stored ones of the pairs `first` … `last`; reads no segment that is in the tail."""
        found = {pair.seq: pair for pair in head.tail}
        missing = {segment_of(seq) for seq in range(first, last + 1) if seq not in found}
        for document in await self.source.load_all([slots.segment(n) for n in sorted(missing)]):
            found.update((pair.seq, pair) for pair in document.pairs)
        return tuple(found[seq] for seq in range(first, last + 1) if seq in found)

    async def record(self, head: Head, turn_id: str, key_hash: str = "") -> OutcomeRecord | None:
        """The outcome of a turn, if it is recorded; older documents are read only if needed."""
        found = find_record(head.recent, turn_id, key_hash)
        if found is not None or not head.recent:
            return found
        end = head.recent[0].no // RECORDS
        numbers = range(max(end - self.outcomes_kept // RECORDS, 0), end)
        older = await self.source.load_all([slots.records(number) for number in numbers])
        matches = (document.find(turn_id, key_hash) for document in reversed(older))
        return next((match for match in matches if match is not None), None)

    async def turn(
        self, head: Head, turn_id: str, key_hash: str = "", body_hash: str = ""
    ) -> TurnState | None:
        """Where a turn stands, with its reply; arguments and errors as in `position_of`."""
        record = await self.record(head, turn_id, key_hash)
        position = position_of(head, record, turn_id, key_hash, body_hash)
        if position is None:
            return None
        return position.state(await self.pair(head, position.seq) if position.seq else None)

    async def sent_turn(self, head: Head, turn: Turn) -> TurnState | None:
        """Where a turn stands that a caller has sent; None if it is new."""
        return await self.turn(head, turn.turn_id, turn.key_hash, turn.body_hash)
