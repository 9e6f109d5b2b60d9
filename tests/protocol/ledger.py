"""What the world saw: every effect of a save, every call of the model, everything callers heard.

No actor reads it. It is written where things take effect, and `verify` compares it with the store.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from agent_actors.protocol import wire
from agent_actors.protocol.ids import ActorRef
from agent_actors.protocol.messages import Turn
from agent_actors.state.reader import TurnPage
from agent_actors.users import session
from tests.protocol.plans import Plans
from tests.protocol.watched_model import DIGIT

if TYPE_CHECKING:
    from tests.protocol.process import Process
    from tests.protocol.world import World

Group = tuple[str, ...]
Json = dict[str, Any]


@dataclass(eq=False, slots=True)
class ModelCall:
    """A call of the model that was started. `failed` ones are not counted as paid."""

    number: int
    process: "Process"
    conversation: str
    turn_id: str
    group: Group
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that a caller got."""

    conversation: str
    turn_id: str
    answer: str
    said: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What one save of a consumer has applied, or up to where it has forgotten its user."""

    answers: tuple[str, ...]
    passed: Mapping[str, int] | None = None


class Ledger:
    """The notes of one world."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.owners: dict[str, str] = {}
        self.turns: dict[str, Turn] = {}
        self.calls: list[ModelCall] = []
        self.losses: Counter[Group] = Counter()
        self.answered: list[Answered] = []
        self.accepted: set[tuple[str, str]] = set()
        self.floor: Counter[str] = Counter()
        self.outcomes: defaultdict[str, list[Json]] = defaultdict(list)
        self.recorded_at: dict[tuple[str, int], int] = {}
        self.pairs: defaultdict[str, dict[int, Json]] = defaultdict(dict)
        self.effects: defaultdict[ActorRef, list[Effect]] = defaultdict(list)
        self.adopted: set[str] = set()
        self.forgotten: Counter[str] = Counter()
        self.plans: defaultdict[str, Plans] = defaultdict(Plans)
        self.closed: dict[str, int] = {}
        """How many turns each conversation had when it was closed, or its user forgotten."""
        self._numbers = 0
        self._applied: dict[ActorRef, Json] = {}
        self._queues: defaultdict[str, list[str]] = defaultdict(list)

    # -- what callers did and heard --------------------------------------------------------------

    def made(self, conversation: str, turn: Turn) -> None:
        """A caller made a turn."""
        self.owners.setdefault(conversation, turn.user)
        self.turns[turn.turn_id] = turn

    def replied(self, actor: "ActorRef", method: str, answer: bytes) -> None:
        """An actor's answer arrived; ChatAgent's *queued* and *running* are promises."""
        if actor[0] != wire.CHAT or method != "ProcessMessage":
            return
        state = from_json(answer)
        if state.get("status") in {"queued", "running"}:
            self.accepted.add((actor[1], state["turn_id"]))

    def open_turns(self, conversation: str, accepted: set[tuple[str, str]]) -> set[str]:
        """Of these accepted turns, those of the conversation that have no end."""
        ended = {record["turn_id"] for record in self.outcomes[conversation]}
        return {turn_id for where, turn_id in accepted if where == conversation} - ended

    def next_number(self) -> int:
        """What makes an answer unlike any other."""
        self._numbers += 1
        return self._numbers

    def conversations(self, user: str) -> list[str]:
        """Those that belong to a user."""
        return [name for name, owner in self.owners.items() if owner == user]

    def group(self, conversation: str, turn_id: str) -> Group:
        """What a caller pays for once: a key with its body, or a message without a key."""
        turn = self.turns.get(turn_id)
        if turn is not None and turn.key_hash:
            return (conversation, turn.key_hash, turn.body_hash)
        return (conversation, turn_id)

    # -- the model -------------------------------------------------------------------------------

    def called(self, process: "Process", where: tuple[str, str], asked: int) -> None:
        """The model is started for a turn, on a request that was sent at step `asked`."""
        conversation, turn_id = where
        for record in self.outcomes[conversation][-self._world.sizes.outcomes_kept :]:
            early = self.recorded_at[conversation, record["no"]] < asked
            if record["turn_id"] == turn_id and record["status"] == "done" and early:
                self._world.violate(f"the model is called for {turn_id}, whose answer was saved")
        group = self.group(conversation, turn_id)
        number = self.next_number()
        self.calls.append(ModelCall(number, process, conversation, turn_id, group))
        self._world.note("MODEL", number, process.index, conversation, turn_id)

    def call_of(self, conversation: str, turn_id: str) -> ModelCall:
        """The newest call for a turn."""
        return next(
            call
            for call in reversed(self.calls)
            if (call.conversation, call.turn_id) == (conversation, turn_id)
        )

    def lost(self, which: Callable[[ModelCall], bool], *in_flight: bytes) -> None:
        """A crash or move that may cost one more call of the model: of turns without an answer."""
        kept = self._world.sizes.outcomes_kept
        ended = {
            (conversation, record["turn_id"])
            for conversation, records in self.outcomes.items()
            for record in records[-kept:]
            if record["status"] == "done"
        }
        turns = {(call.conversation, call.turn_id) for call in self.calls if which(call)}
        for request in map(from_json, in_flight):
            turns.add((request["conversation"], request["turn_id"]))
        for group in {self.group(*turn) for turn in turns - ended}:
            self.losses[group] += 1

    # -- saves -----------------------------------------------------------------------------------

    def saved(self, actor: "ActorRef", changes: Json) -> None:
        """A save took effect."""
        kind, actor_id = actor
        if kind == wire.CHAT:
            at = self._world.clock.now().timestamp()
            if wrong := self.plans[actor_id].saved(changes, at):
                self._world.violate(wrong)
        if kind == wire.CHAT and "head" in changes:
            self._head_saved(actor_id, changes)
        document = DOCUMENTS.get(kind)
        if document in changes:
            before, now = self._applied.get(actor, {}), changes[document] or {}
            self._applied[actor] = now
            if "tombstone" in changes:
                marks = {key[2:]: mark["seq"] for key, mark in changes.items() if key[:2] == "s:"}
                self.effects[actor].append(Effect((), marks))
            elif applied := APPLIED[kind](before, now):
                self.effects[actor].append(Effect(tuple(applied)))

    def _head_saved(self, conversation: str, changes: Json) -> None:
        head = changes["head"]
        records = [*_inside(changes, "r", "records"), *head["recent"]]
        for record in sorted(records, key=lambda each: int(each["no"])):
            if record["no"] == len(self.outcomes[conversation]):
                self.outcomes[conversation].append(record)
                self.recorded_at[conversation, record["no"]] = self._world.count
        queue = self._queues[conversation]
        for pair in [*_inside(changes, "h", "pairs"), *head["tail"]]:
            if pair["seq"] in self.pairs[conversation]:
                continue
            if queue and queue[0] != pair["turn_id"] and pair["turn_id"] not in self.adopted:
                self._world.violate(f"{pair['turn_id']} overtook the queue {queue}")
            self.pairs[conversation][pair["seq"]] = pair
        self._queues[conversation] = [queued["turn"]["turn_id"] for queued in head["queue"]]

    # -- readers ---------------------------------------------------------------------------------

    def start(self, conversation: str) -> int:
        """Up to which pair a conversation is cleared, as it is stored."""
        head = self._world.store[ActorRef(wire.CHAT, conversation)].get("head")
        return int(from_json(head)["start"]) if head else 0

    def read(self, conversation: str, wanted: set[int], floor: int, page: TurnPage) -> None:
        """A reader got a whole history; `wanted` and `floor` were right when it began."""
        start = self.start(conversation)
        shown = {pair.seq: pair for pair in page.pairs}
        missed = {seq for seq in wanted if seq > start and seq not in shown}
        if missed:
            self._world.violate(f"a reader misses pairs {missed} of {conversation}")
        if any(seq <= floor for seq in shown):
            self._world.violate(f"a reader sees a cleared pair: {sorted(shown)} over {floor}")
        for seq, pair in shown.items():
            known = self.pairs[conversation].get(seq)
            if known is None or known["output"]["content"] != pair.output.content:
                self._world.violate(f"a reader sees another pair {seq}")


def _remembered(before: Json, now: Json) -> list[str]:
    """The answers that memory has applied."""
    new = now["events"] - before.get("events", 0)
    answers = [entry["content"] for entry in now["entries"] if entry["role"] == "assistant"]
    return answers[-new:] if new > 0 else []


def _exchanged(before: Json, now: Json) -> list[str]:
    """The answers that were put to a user's last exchanges."""
    former, replies = _replies(before), _replies(now)
    for new in range(len(replies) + 1):
        if (former + replies[len(replies) - new :])[-session.EXCHANGES :] == replies:
            return replies[len(replies) - new :]
    return replies


def _replies(exchanges: Json) -> list[str]:
    return [each["reply"] for each in exchanges.get("exchanges", ())]


def _counted(before: Json, now: Json) -> list[str]:
    """The numbers of the answers whose tokens were added."""
    added = now["usage"]["output_tokens"]
    added -= before.get("usage", {}).get("output_tokens", 0)
    found: list[str] = []
    number = 0
    while added > 0:
        added, times = divmod(added, DIGIT)
        found += [f"#{number}"] * times
        number += 1
    return found


DOCUMENTS = {
    wire.MEMORY: "memory",
    wire.SESSION: "exchanges",
    wire.ANALYTICS: "analytics",
}
"""What consumers keep their effects in."""
APPLIED = {
    wire.MEMORY: _remembered,
    wire.SESSION: _exchanged,
    wire.ANALYTICS: _counted,
}
"""What was applied, by how that document was and is."""


def _inside(changes: Json, letter: str, name: str) -> list[Json]:
    """What the saved documents `h<k>` or `r<k>` hold."""
    return [
        each
        for key, document in changes.items()
        if document and key[0] == letter and key[1:].isdigit()
        for each in document[name]
    ]
