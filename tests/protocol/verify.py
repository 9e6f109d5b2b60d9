"""What must hold when a world is at rest (docs/protocol.md, section 6)."""

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from agent_actors.conversation import queue
from agent_actors.protocol import ids, wire
from agent_actors.protocol.ids import ActorRef
from agent_actors.state.documents import conversation as documents
from tests.protocol.ledger import Group
from tests.protocol.world import Violation

if TYPE_CHECKING:
    from tests.protocol.world import World

Json = dict[str, Any]
ANSWER = re.compile(r'[^"\s]+#[0-9]+')
EMPTY: Json = {"seq": 0, "start": 0, "low": 1, "tail": [], "recent": [], "queue": []}


def verify(world: "World") -> None:
    """Everything that was promised.

    Raises:
        Violation: Some of it is not so.
    """
    for conversation in world.ledger.owners:
        one = Conversation(world, conversation)
        one.history()
        one.effects()
        one.outcomes()
        one.callers()
        one.traces()
        one.plans()
    _calls(world)
    _forgotten(world)


class Conversation:
    """The checks of one conversation."""

    def __init__(self, world: "World", conversation: str) -> None:
        self._world = world
        self._ledger = world.ledger
        self._name = conversation
        self._stored = {
            key: from_json(value)
            for key, value in world.store[ActorRef(wire.CHAT, conversation)].items()
        }
        self._head: Json = self._stored.get("head", EMPTY)
        self._pairs = self._ledger.pairs[conversation]
        self._ended = self._ledger.outcomes[conversation]

    def history(self) -> None:
        """Every committed pair is there once, unchanged, but the cleared ones, which are gone."""
        head, segments = self._head, self._documents("h")
        pairs = [pair for each in segments for pair in each["pairs"]] + head["tail"]
        seqs = [pair["seq"] for pair in pairs]
        self._demand(seqs == list(range(head["low"], head["seq"] + 1)), f"the history is {seqs}")
        self._demand(head["low"] == head["start"] + 1, "cleared pairs are left")
        self._demand(head["seq"] == len(self._pairs), f"the count is {head['seq']}")
        self._demand(not head["queue"], f"the queue is {head['queue']}")
        few = len(pairs) // documents.SEGMENT + 2
        self._demand(len(head["tail"]) <= documents.SEGMENT, "the tail is long")
        self._demand(len(segments) <= few, f"there are {len(segments)} segments")
        for pair in pairs:
            self._demand(pair == self._pairs[pair["seq"]], f"pair {pair} was changed")
            said = pair["input"]["content"]
            self._demand(pair["output"]["content"].startswith(said + "#"), f"{pair} is mixed up")

    def effects(self) -> None:
        """Every committed turn is effective at each consumer once, in order, or passed over."""
        if not self._head["seq"]:
            return
        owner = self._head["user"]
        self._demand(owner == self._ledger.owners[self._name], f"the owner is {owner!r}")
        answers = [pair["output"]["content"] for _, pair in sorted(self._pairs.items())]
        self._effective(ActorRef(wire.MEMORY, ids.memory_id(owner)), answers)
        self._effective(ActorRef(wire.SESSION, owner), answers)
        tokens = ["#" + answer.rpartition("#")[2] for answer in answers]
        self._effective(ActorRef(wire.ANALYTICS, owner), tokens)

    def _effective(self, consumer: ActorRef, wanted: list[str]) -> None:
        mine, done = set(wanted), 0
        for effect in self._ledger.effects[consumer]:
            if effect.passed is not None:
                done = max(done, effect.passed.get(self._name, 0))
                continue
            got = [answer for answer in effect.answers if answer in mine]
            due = wanted[done : done + len(got)]
            if consumer[0] == wire.ANALYTICS:
                got, due = sorted(got), sorted(due)
            self._demand(got == due, f"{consumer} applies {got} after {wanted[:done]} of {wanted}")
            done += len(got)
        self._demand(done == len(wanted), f"{consumer} misses {wanted[done:]}")
        mark = from_json(self._world.store[consumer][f"s:{self._name}"])["seq"]
        self._demand(mark == self._head["seq"], f"the mark of {consumer} is {mark}")

    def outcomes(self) -> None:
        """The last outcomes are remembered, in bounded documents; no key has two ends in them."""
        kept, head, older = self._world.sizes.outcomes_kept, self._head, self._documents("r")
        stored = [record for each in older for record in each["records"]] + head["recent"]
        by_number = {record["no"]: record for record in stored}
        for record in self._ended[-kept:]:
            self._demand(by_number.get(record["no"]) == record, f"outcome {record} is forgotten")
        self._demand(len(head["recent"]) <= documents.RECENT, "too many records in the head")
        self._demand(len(older) <= kept // documents.RECORDS, "too many documents of records")
        for index, first in enumerate(self._ended):
            for second in self._ended[index + 1 : index + 1 + kept]:
                self._demand(not _same(first, second), f"two ends: {first}, {second}")
        done = {(r["seq"], r["turn_id"]) for r in self._ended if r["status"] == "done"}
        committed = {(seq, pair["turn_id"]) for seq, pair in self._pairs.items()}
        self._demand(done == committed, f"outcomes {done} differ from history {committed}")

    def callers(self) -> None:
        """Every answer that was told is in the history, and every promise was kept."""
        for told in self._ledger.answered:
            if told.conversation != self._name:
                continue
            answers = [
                pair["output"]["content"]
                for pair in self._pairs.values()
                if pair["turn_id"] == told.turn_id
            ]
            self._demand(told.answer in answers, f"{told} was told, history has {answers}")
            self._demand(told.answer.startswith(told.said + "#"), f"{told} is another's answer")
        last = self._ledger.closed.get(self._name, head_seq := self._head["seq"])
        self._demand(last == head_seq, f"{head_seq - last} turns were taken after the end")
        left = self._ledger.open_turns(self._name, self._ledger.accepted)
        self._demand(not left, f"accepted turns {left} have no end")

    def traces(self) -> None:
        """Nothing is left of what was cleared, and nothing of a turn that failed."""
        stored = b"".join(self._world.store[ActorRef(wire.CHAT, self._name)].values())
        start = self._head["start"]
        shown = {_said(pair) for seq, pair in self._pairs.items() if seq > start}
        for seq, pair in self._pairs.items():
            # A key that was forgotten may have got the same answer again.
            text = f'"{pair["output"]["content"]}"'.encode()
            gone = seq <= start and _said(pair) not in shown
            self._demand(not gone or text not in stored, f"the text of cleared pair {seq} is left")
        done = {pair["input"]["content"] for pair in self._pairs.values()}
        for turn in self._ledger.turns.values():
            said = turn.message.content
            text = f'"{said}"'.encode()
            self._demand(said in done or text not in stored, f"{said} failed, and is stored")

    def plans(self) -> None:
        """Every occurrence of a schedule ended once; those of a user who was forgotten, at most."""
        self._demand(not self._stored.get("schedules", {}).get("schedules"), "schedules are left")
        ended = Counter(record["turn_id"] for record in self._ended)
        stored = b"".join(self._world.store[ActorRef(wire.CHAT, self._name)].values()).decode()
        said = {pair["input"]["content"] for pair in self._pairs.values()}
        for plan in self._ledger.plans[self._name].known.values():
            times = [ended[each] for each in plan.turn_ids(self._name)]
            self._demand(max(times) <= 1, f"{plan} was said {times} times")
            self._demand(plan.dropped or min(times) == 1, f"{plan} was said {times} times")
            gone = plan.content in said or f'"{plan.content}"' not in stored
            self._demand(gone, f"{plan} is stored")

    def _documents(self, letter: str) -> list[Json]:
        keys = [key for key in self._stored if key[0] == letter and key[1:].isdigit()]
        return [self._stored[key] for key in sorted(keys, key=lambda key: int(key[1:]))]

    def _demand(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise Violation(f"{self._name}: {otherwise}; head {self._head}")


def _said(pair: Json) -> tuple[str, str]:
    return pair["input"]["content"], pair["output"]["content"]


def _same(first: Json, second: Json) -> bool:
    same_key = first["key_hash"] and first["key_hash"] == second["key_hash"]
    return bool(same_key) or first["turn_id"] == second["turn_id"]


def _forgotten(world: "World") -> None:
    """No answer to a user who was forgotten since is left anywhere."""
    before: set[str] = set()
    since: set[str] = set()
    for name, pairs in world.ledger.pairs.items():
        for seq, pair in pairs.items():
            # A key that was forgotten may have got the same answer again.
            (since if seq > world.ledger.forgotten[name] else before).add(pair["output"]["content"])
    for actor, kept in world.store.items():
        stored = b" ".join(kept.values()).decode()
        left = (before - since).intersection(ANSWER.findall(stored))
        if left:
            raise Violation(f"{actor} has {left}, which was forgotten")


def _calls(world: "World") -> None:
    """Each model call was paid for once, and again after a crash or move that lost its answer."""
    ledger, kept = world.ledger, world.sizes.outcomes_kept
    forgotten: Counter[Group] = Counter(
        ledger.group(conversation, record["turn_id"])
        for conversation, records in ledger.outcomes.items()
        for record in records[:-kept]
    )
    paid = Counter(call.group for call in ledger.calls if not call.failed)
    for group, times in paid.items():
        most = 1 + ledger.losses[group] + forgotten[group]
        if times > most:
            raise Violation(f"the model was paid {times} times for {group}, at most {most}")
    runs = Counter(call.turn_id for call in ledger.calls)
    for turn_id, times in runs.items():
        turn = ledger.turns.get(turn_id)
        if turn and turn.message.content in world.poison and times > queue.TRIES + 6:
            raise Violation(f"a message that kills its process ran {times} times")
