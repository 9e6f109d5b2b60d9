"""What the world saw: no actor reads it, and `verify` compares it with what is stored."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.protocol.model.documents import CHAT, Actor, Head, Pair, Record, Turn
from tests.protocol.model.steps import Violation

if TYPE_CHECKING:
    from tests.protocol.model.process import Process

Group = tuple[str, ...]
"""What a caller pays for once: a key with its body, or a message without a key."""


@dataclass(eq=False, slots=True)
class Paid:
    """A model call that was started; a failed one is not counted as paid."""

    process: "Process"
    conversation: str
    turn_id: str
    group: Group
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """An answer that a caller got."""

    conversation: str
    turn_id: str
    answer: str
    body: str


class Notes:
    """The notes of one world.

    Args:
        kept: Outcomes that a conversation remembers.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self.calls: list[Paid] = []
        self.losses: Counter[Group] = Counter()
        self.told: list[Told] = []
        self.accepted: set[tuple[str, str]] = set()
        self.adopted: set[str] = set()
        self.floor: Counter[str] = Counter()
        """Up to which pair each conversation was cleared, when a clear last returned."""
        self.outcomes: defaultdict[str, list[Record]] = defaultdict(list)
        self.pairs: defaultdict[str, dict[int, Pair]] = defaultdict(dict)
        self._recorded_at: dict[tuple[str, int], int] = {}
        self._queues: defaultdict[str, dict[str, int]] = defaultdict(dict)
        """The queue as it was saved last, and the tries of each turn."""

    # -- saves ---------------------------------------------------------------------------------

    def saved(self, actor: Actor, changes: Mapping[str, Any], step: int) -> None:
        """A save took effect."""
        if actor.kind == CHAT and "head" in changes:
            self._records_saved(actor.name, changes, step)
            self._pairs_saved(actor.name, changes)
            self._queue_saved(actor.name, changes["head"])

    def _records_saved(self, conversation: str, changes: Mapping[str, Any], step: int) -> None:
        outcomes, head = self.outcomes[conversation], changes["head"]
        for record in (*_inside(changes, "r"), *head.recent):
            if record.no == len(outcomes):
                outcomes.append(record)
                self._recorded_at[conversation, record.no] = step

    def _pairs_saved(self, conversation: str, changes: Mapping[str, Any]) -> None:
        head: Head = changes["head"]
        known, queue = self.pairs[conversation], list(self._queues[conversation])
        for pair in (*_inside(changes, "h"), *head.tail):
            if pair.seq in known:
                continue
            if queue and queue[0] != pair.turn_id and pair.turn_id not in self.adopted:
                raise Violation(f"{pair.turn_id} overtook the queue {queue}")
            known[pair.seq] = pair

    def _queue_saved(self, conversation: str, head: Head) -> None:
        before = self._queues[conversation]
        for each in head.queue:
            if each.tries < before.get(each.turn.turn_id, 0):
                raise Violation(f"{each} was started more often before")
        self._queues[conversation] = {each.turn.turn_id: each.tries for each in head.queue}

    # -- the language model --------------------------------------------------------------------

    def called(self, process: "Process", conversation: str, turn: Turn, asked: int) -> int:
        """A model call is started for a turn that was asked about at step `asked`; its number."""
        for record in self.outcomes[conversation][-self._kept :]:
            early = self._recorded_at[conversation, record.no] < asked
            if record.seq and record.turn_id == turn.turn_id and early:
                raise Violation(f"the model is called for {turn.turn_id}, whose answer was saved")
        self.calls.append(Paid(process, conversation, turn.turn_id, group(conversation, turn)))
        return len(self.calls)

    def failed(self, number: int) -> None:
        """A model call has failed."""
        self.calls[number - 1].failed = True

    def lost(self, which: Callable[[Paid], bool], asked: Iterable[tuple[str, Turn]] = ()) -> None:
        """A crash or move that may cost one more call of the model, of turns without an answer.

        Args:
            which: The calls that are lost.
            asked: Conversations and turns that are being asked about at the former place.
        """
        answered = {
            (conversation, record.turn_id)
            for conversation, records in self.outcomes.items()
            for record in records[-self._kept :]
            if record.seq
        }
        lost = {(c.conversation, c.turn_id): c.group for c in self.calls if which(c)}
        lost |= {(where, turn.turn_id): group(where, turn) for where, turn in asked}
        for each in {lost[turn] for turn in lost.keys() - answered}:
            self.losses[each] += 1

    # -- callers -------------------------------------------------------------------------------

    def without_end(self, conversation: str, accepted: Iterable[tuple[str, str]]) -> set[str]:
        """Of these accepted turns, those of the conversation that have no end."""
        ended = {record.turn_id for record in self.outcomes[conversation]}
        return {turn_id for where, turn_id in accepted if where == conversation} - ended


def group(conversation: str, turn: Turn | Record) -> Group:
    """What a caller pays for once."""
    if turn.key:
        return conversation, turn.key, turn.body
    return conversation, turn.turn_id


def _inside(changes: Mapping[str, Any], letter: str) -> Iterable[Any]:
    """What the saved documents `h<k>` or `r<k>` hold, oldest first."""
    keys = [key for key in changes if key[0] == letter and key[1:].isdigit()]
    for key in sorted(keys, key=lambda each: int(each[1:])):
        yield from changes[key] or ()
