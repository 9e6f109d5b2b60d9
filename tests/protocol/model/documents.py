"""What the actors of the model store and send: the real documents, without what never matters."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

CHAT, RESPONSE, MEMORY, SESSION = "chat", "response", "memory", "session"
CONSUMERS = (MEMORY, SESSION)
"""Memory is asked by the next turn; session stands for all consumers that nobody waits for."""

SEGMENT = 2
"""Pairs of a segment."""
SEGMENT_BYTES = 3
"""Size of what an open segment holds; a longer one is closed early."""


class Actor(NamedTuple):
    """An actor: its kind, and the conversation or user it belongs to."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Turn:
    """A message on its way to an answer; `key` is empty where its caller sent none."""

    turn_id: str
    key: str
    body: str
    user: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A committed turn."""

    seq: int
    turn_id: str
    body: str
    answer: str
    size: int = 1


@dataclass(frozen=True, slots=True)
class Record:
    """How a turn ended; `seq` is 0 where it has no pair."""

    no: int
    turn_id: str
    key: str
    body: str
    seq: int
    error: str


@dataclass(frozen=True, slots=True)
class Queued:
    """An accepted turn, and how often it was started."""

    turn: Turn
    tries: int


@dataclass(frozen=True, slots=True)
class Head:
    """ChatAgent's own document."""

    user: str = ""
    seq: int = 0
    start: int = 0
    low: int = 1
    tail: tuple[Pair, ...] = ()
    recent: tuple[Record, ...] = ()
    queue: tuple[Queued, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """A committed turn, as consumers are told of it."""

    conversation: str
    user: str
    pair: Pair


@dataclass(frozen=True, slots=True)
class Effect:
    """What a consumer keeps of an event."""

    conversation: str
    seq: int
    turn_id: str
    answer: str


State = Literal["done", "failed", "running", "parked", "unknown", "busy", "reused", "gone"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What an actor, or the route, says of a turn."""

    state: State
    text: str = ""
    turn_id: str = ""


def segment_of(seq: int) -> int:
    """The segment that a pair belongs to."""
    return (seq - 1) // SEGMENT


def find_pair(pairs: tuple[Pair, ...], seq: int) -> Pair | None:
    """The pair of that number."""
    return next((pair for pair in pairs if pair.seq == seq), None)


def is_turn(each: Record | Turn, turn_id: str, key: str) -> bool:
    """Whether this is the turn of that id, or of that key."""
    return each.turn_id == turn_id or bool(key and each.key == key)


def find_record(records: tuple[Record, ...], turn_id: str, key: str) -> Record | None:
    """The newest record of that turn."""
    return next((each for each in reversed(records) if is_turn(each, turn_id, key)), None)
