"""What must hold when a world is at rest: no fault, no task, no event and no reminder is left."""

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from tests.protocol.model.chat import TRIES
from tests.protocol.model.documents import (
    CHAT,
    CONSUMERS,
    RESPONSE,
    SEGMENT,
    Actor,
    Effect,
    Head,
    Pair,
    Record,
)
from tests.protocol.model.notes import Group, group
from tests.protocol.model.steps import Violation

if TYPE_CHECKING:
    from tests.protocol.model.world import World


def verify(world: "World") -> None:
    """Everything that was promised.

    Raises:
        Violation: Some of it is not so.
    """
    for conversation in world.users:
        one = Conversation(world, conversation)
        one.history()
        one.effects()
        one.outcomes()
        one.callers()
    _paid(world)


class Conversation:
    """The checks of one conversation."""

    def __init__(self, world: "World", name: str) -> None:
        self._world = world
        self._name = name
        self._stored = world.store[Actor(CHAT, name)]
        self._head: Head = self._stored.get("head") or Head()
        self._pairs = world.notes.pairs[name]
        self._ended = world.notes.outcomes[name]

    def history(self) -> None:
        """Every committed pair is there once, unchanged, but the cleared ones, which are gone."""
        head, segments = self._head, self._documents("h")
        pairs: list[Pair] = [pair for segment in segments for pair in segment]
        pairs += head.tail
        seqs = [pair.seq for pair in pairs]
        self._demand(seqs == list(range(head.low, head.seq + 1)), f"the history is {seqs}")
        self._demand(head.low == head.start + 1, "the text of cleared pairs is left")
        self._demand(head.seq == len(self._pairs), f"{len(self._pairs)} pairs were committed")
        self._demand(not head.queue, "the queue is not drained")
        self._demand(len(head.tail) <= SEGMENT, "the tail is long")
        self._demand(len(segments) <= len(pairs) // SEGMENT + 2, "there are too many segments")
        for pair in pairs:
            self._demand(pair == self._pairs[pair.seq], f"{pair} was changed")
            self._demand(pair.answer.startswith(pair.body + "#"), f"{pair} is mixed up")
        counted = self._world.store[Actor(RESPONSE, self._name)].get("count", ())
        self._demand(len(counted) <= head.seq, f"ResponseAgent has counted {len(counted)} turns")

    def effects(self) -> None:
        """Every committed turn is effective at each consumer once, in order."""
        wanted = [(seq, pair.turn_id, pair.answer) for seq, pair in sorted(self._pairs.items())]
        for kind in CONSUMERS:
            consumer = Actor(kind, self._world.users[self._name])
            kept: tuple[Effect, ...] = self._world.store[consumer].get("effects", ())
            mine = [each for each in kept if each.conversation == self._name]
            got = [(each.seq, each.turn_id, each.answer) for each in mine]
            self._demand(got == wanted, f"{kind} has applied {got}")

    def outcomes(self) -> None:
        """The last outcomes are remembered, in bounded documents; no key has two ends in them."""
        sizes, head, older = self._world.sizes, self._head, self._documents("r")
        stored: list[Record] = [record for document in older for record in document]
        by_number = {record.no: record for record in (*stored, *head.recent)}
        for record in self._ended[-sizes.kept :]:
            self._demand(by_number.get(record.no) == record, f"{record} is forgotten")
        self._demand(len(head.recent) <= sizes.recent, "there are too many records in the head")
        most = sizes.kept // (sizes.recent // 2)
        self._demand(len(older) <= most, "there are too many documents of records")
        for index, first in enumerate(self._ended):
            for second in self._ended[index + 1 : index + 1 + sizes.kept]:
                self._demand(not _same(first, second), f"two ends: {first}, {second}")
        done = {(record.seq, record.turn_id) for record in self._ended if record.seq}
        committed = {(seq, pair.turn_id) for seq, pair in self._pairs.items()}
        self._demand(done == committed, f"outcomes {done} differ from the history")

    def callers(self) -> None:
        """Every answer that was told is in the history, and every accepted turn has ended."""
        answers: defaultdict[str, set[str]] = defaultdict(set)
        for pair in self._pairs.values():
            answers[pair.turn_id].add(pair.answer)
        for told in self._world.notes.told:
            if told.conversation == self._name:
                self._demand(told.answer in answers[told.turn_id], f"{told} is not in the history")
                self._demand(told.answer.startswith(told.body + "#"), f"{told} is another's answer")
        left = self._world.notes.without_end(self._name, self._world.notes.accepted)
        self._demand(not left, f"the accepted turns {left} have no end")

    def _documents(self, letter: str) -> list[Any]:
        keys = [key for key in self._stored if key[0] == letter and key[1:].isdigit()]
        return [self._stored[key] for key in sorted(keys, key=lambda key: int(key[1:]))]

    def _demand(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise Violation(f"{self._name}: {otherwise}; {self._head}")


def _same(first: Record, second: Record) -> bool:
    return first.turn_id == second.turn_id or bool(first.key and first.key == second.key)


def _paid(world: "World") -> None:
    """Each model call was paid for once, and again after a crash or move that lost its answer."""
    notes = world.notes
    forgotten: Counter[Group] = Counter(
        group(conversation, record)
        for conversation, records in notes.outcomes.items()
        for record in records[: -world.sizes.kept]
    )
    for each, times in Counter(call.group for call in notes.calls if not call.failed).items():
        most = 1 + notes.losses[each] + forgotten[each]
        if times > most:
            raise Violation(f"the model was paid {times} times for {each}, at most {most}")
    for turn_id, times in Counter(call.turn_id for call in notes.calls).items():
        if turn_id in world.poison and times > TRIES + 6:
            raise Violation(f"{turn_id}, which kills its process, ran {times} times")
