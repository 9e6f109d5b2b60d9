"""ResponseAgent: runs the language model for a conversation, and stores nothing."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.protocol.model.activation import Activation
from tests.protocol.model.documents import CHAT, MEMORY, RESPONSE, Actor, Answer, Turn
from tests.protocol.model.steps import Failed, Steps

if TYPE_CHECKING:
    from tests.protocol.model.process import Process
    from tests.protocol.model.world import World

CALLS = 8
"""Model calls that are kept for a conversation; finished ones are evicted first."""
HAND_OVERS = 6
"""Times that the end of a parked turn is offered to ChatAgent."""


@dataclass(eq=False, slots=True)
class ModelCall:
    """A call of the language model. It belongs to its process, not to an activation."""

    number: int
    process: "Process"
    conversation: str
    turn: Turn
    outcome: Answer | None = None
    awaited: bool = False
    """ChatAgent was told *running* and waits for the end."""

    @property
    def failed(self) -> bool:
        """Whether it has ended without an answer."""
        return self.outcome is not None and self.outcome.state == "failed"


def process(response: Activation, turn: Turn, start: bool, wait: bool, asked: int) -> Steps[Answer]:
    """Where a turn is. One that is not known is started if `start` says so, else *unknown*."""
    world, call = response.world, _find(response, turn)
    if call is None or (call.failed and start):
        if not start:
            return Answer("unknown")
        yield from response.ask(Actor(MEMORY, turn.user), "recall", response.name)
        if not world.mutated("dead_can_start"):
            response.require_live()
        call = _start(response, turn, asked)
    if wait:
        yield from _park(world, call)
    if call.outcome is None:
        call.awaited = True
        return Answer("running")
    if world.mutated("count_in_response") and call.outcome.state == "done":
        counted: tuple[str, ...] = yield from response.load("count", ())
        yield from response.save({"count": tuple(sorted({*counted, turn.turn_id}))})
    return call.outcome


def deliver(response: Activation, turn: Turn, outcome: Answer) -> Steps[None]:
    """Only for the mutation `deliver_in_turn`: hands an answer over from inside a turn."""
    yield from response.ask(Actor(CHAT, response.name), "complete", turn, outcome)


def _find(response: Activation, turn: Turn) -> ModelCall | None:
    if response.world.mutated("task_forgotten"):
        return None
    return response.process.calls.get((response.name, turn.turn_id))


def _park(world: "World", call: ModelCall) -> Steps[None]:
    """Waits for a model call, but no longer than the parking time."""
    for _ in range(world.chance.choice(world.sizes.parking)):
        if call.outcome is not None:
            return
        yield None


def _start(response: Activation, turn: Turn, asked: int) -> ModelCall:
    """Starts a model call in a task of the process, and makes room for it."""
    world, calls = response.world, response.process.calls
    number = world.notes.called(response.process, response.name, turn, asked)
    world.note("MODEL", number, response.process.index, response.name, turn.turn_id)
    call = ModelCall(number, response.process, response.name, turn)
    calls.pop((response.name, turn.turn_id), None)
    mine = [key for key in calls if key[0] == response.name]
    mine.sort(key=lambda key: calls[key].outcome is None)
    evicted = mine if world.mutated("one_task") else mine[: max(0, len(mine) + 1 - CALLS)]
    for key in evicted:
        del calls[key]
    calls[response.name, turn.turn_id] = call
    world.spawn(_run(world, call), response.process.index, f"model call {number}")
    return call


def _run(world: "World", call: ModelCall) -> Steps[None]:
    """The task of a model call: it answers, and hands the answer over if ChatAgent waits for it."""
    yield None
    if call.turn.turn_id in world.poison:
        world.seen["killed by the model"] += 1
        world.crash(call.process.index)
        yield None
    for _ in range(world.chance.choice(world.sizes.thinking)):
        yield None
    if world.strikes("model"):
        world.notes.failed(call.number)
        call.outcome = Answer("failed", "model", call.turn.turn_id)
    else:
        call.outcome = Answer("done", f"{call.turn.body}#{call.number}", call.turn.turn_id)
    for _ in range(HAND_OVERS):
        if not call.awaited:
            return
        try:
            yield from _hand_over(world, call, call.outcome)
        except Failed:
            yield None
        else:
            return


def _hand_over(world: "World", call: ModelCall, outcome: Answer) -> Steps[None]:
    if world.mutated("deliver_in_turn"):
        yield from world.call(Actor(RESPONSE, call.conversation), "deliver", call.turn, outcome)
    else:
        yield from world.call(Actor(CHAT, call.conversation), "complete", call.turn, outcome)
