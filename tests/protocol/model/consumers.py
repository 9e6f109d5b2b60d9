"""Consumers of events: memory, and session for all those that nobody waits for (I4)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.protocol.model.activation import Activation
from tests.protocol.model.documents import CONSUMERS, MEMORY, SESSION, Actor, Effect, Event
from tests.protocol.model.readers import read_head, read_pairs
from tests.protocol.model.steps import Failed, Steps

if TYPE_CHECKING:
    from tests.protocol.model.world import World

BATCH = 3
"""Missed turns that are read from the history at once."""
CATCH_UP = 2
"""Times that this is done for one event."""
OFFERS = 3
"""Times that an event is offered to a consumer that nobody waits for."""


def mark(consumer: Activation, conversation: str) -> Steps[int]:
    """The number of the last event of a conversation that is effective here."""
    number: int = yield from consumer.load(f"s:{conversation}", 0)
    return number


def recall(memory: Activation, conversation: str) -> Steps[int]:
    """What memory knows, for the next model call."""
    yield from memory.load("effects", ())
    return (yield from mark(memory, conversation))


def apply(consumer: Activation, event: Event) -> Steps[str]:
    """Applies an event once and in order: *applied*, *duplicate* or *gap*."""
    world, seq, key = consumer.world, event.pair.seq, f"s:{event.conversation}"
    last = yield from mark(consumer, event.conversation)
    if seq <= last and not world.mutated("no_mark"):
        return "duplicate"
    if seq > last + 1 and not world.mutated("no_gap"):
        return "gap"
    effects: tuple[Effect, ...] = yield from consumer.load("effects", ())
    effect = Effect(event.conversation, seq, event.pair.turn_id, event.pair.answer)
    document, marked = {"effects": (*effects, effect)}, {key: max(last, seq)}
    for changes in _transactions(world, document, marked):
        yield from consumer.save(changes)
    return "applied"


def _transactions(
    world: "World", document: Mapping[str, Any], marked: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Effect and mark are saved in one transaction (4.12)."""
    if world.mutated("mark_apart"):
        return [document, marked]
    if world.mutated("mark_first"):
        return [marked, document]
    return [{**document, **marked}]


def subscribe(world: "World", process: int, event: Event) -> Steps[str]:
    """The route `/subscribe`: memory at once, the others in a task of the process."""
    try:
        applied = yield from _offer(world, MEMORY, event)
    except Failed:
        return "RETRY"
    if applied == "gap":
        return "RETRY"
    if applied == "applied" or not world.mutated("duplicates_not_fed"):
        world.spawn(_feed(world, event), process, "feed")
    return "SUCCESS"


def _feed(world: "World", event: Event) -> Steps[None]:
    """Offers an event to the consumers that nobody waits for; the reminder does the rest."""
    for _ in range(OFFERS):
        try:
            yield from _offer(world, SESSION, event)
        except Failed:
            yield None
        else:
            return


def _offer(world: "World", kind: str, event: Event) -> Steps[str]:
    """Has an event applied; what is missing before it is read from the history first."""
    consumer = Actor(kind, event.user)
    applied: str = yield from world.call(consumer, "apply", event)
    for _ in range(CATCH_UP):
        if applied != "gap":
            break
        last: int = yield from world.call(consumer, "mark", event.conversation)
        for missed in (yield from _missed(world, event, last)):
            yield from world.call(consumer, "apply", missed)
        applied = yield from world.call(consumer, "apply", event)
    return applied


def _missed(world: "World", event: Event, last: int) -> Steps[list[Event]]:
    """The turns after a consumer's mark, as the history has them."""
    head = yield from read_head(world, event.conversation)
    pairs = yield from read_pairs(
        world, event.conversation, head, last + 1, min(head.seq, last + BATCH)
    )
    return [Event(event.conversation, event.user, pair) for pair in pairs]


def marks(chat: Activation, user: str) -> Steps[int]:
    """How far the last of the consumers is: every one is asked (4.13)."""
    world = chat.world
    asked: list[int] = []
    for kind in CONSUMERS[:1] if world.mutated("one_mark") else CONSUMERS:
        last: int = yield from chat.ask(Actor(kind, user), "mark", chat.name)
        asked.append(last)
    return max(asked) if world.mutated("furthest_mark") else min(asked)
