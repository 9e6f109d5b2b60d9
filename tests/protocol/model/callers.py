"""Callers: they send, retry, leave, send again, clear and read, and write down what they heard."""

from typing import TYPE_CHECKING, Any

from tests.protocol.model.documents import CHAT, Actor, Answer, Head, Turn
from tests.protocol.model.readers import read_history, read_turn
from tests.protocol.model.steps import Failed, Steps, Task, Violation

if TYPE_CHECKING:
    from tests.protocol.model.world import World


def turn_of(world: "World", conversation: str, body: str, key: str, number: str) -> Turn:
    """The turn of a message: its id comes from conversation, key and body (4.1, 4.2).

    `number` makes a turn without a key unlike others.
    """
    if not key or world.mutated("id_not_from_key"):
        turn_id = f"{conversation}-{number}"
    elif world.mutated("id_ignores_body"):
        turn_id = f"{conversation}-{key}"
    else:
        turn_id = f"{conversation}-{key}-{body}"
    return Turn(turn_id, key, body, world.users[conversation])


def route(
    world: "World", conversation: str, turn: Turn, *, wait: bool, patience: int
) -> Steps[Answer]:
    """Sends a turn, and looks at what is saved until it has ended or patience has."""
    answer: Answer = yield from world.call(Actor(CHAT, conversation), "process", turn, wait)
    if answer.state != "parked":
        return answer
    world.notes.accepted.add((conversation, answer.turn_id))
    return (yield from look(world, conversation, answer.turn_id, patience if wait else 0))


def look(world: "World", conversation: str, turn_id: str, patience: int) -> Steps[Answer]:
    """Looks so many times where a turn is."""
    for _ in range(patience):
        answer = yield from read_turn(world, conversation, turn_id)
        if answer is not None:
            return answer
        yield None
    return Answer("parked", turn_id=turn_id)


class Caller:
    """One caller of a random schedule, with one message.

    Args:
        world: Where it is.
        conversation: Where it is said.
        body: The message.
        key: Its idempotency key, if any.
        number: Makes its turns unlike others.
    """

    def __init__(self, world: "World", conversation: str, body: str, key: str, number: int) -> None:
        self._world = world
        self._chance = world.chance
        self._conversation = conversation
        self._body = body
        self._key = key
        self._number = number
        self._again = bool(key) and world.chance.random() < 0.5

    def insist(self) -> Steps[None]:
        """Sends until there is an answer: at once, later, in parallel; maybe once more."""
        yield from wander(self._world, (0, 0, 5, 40, 150))
        for attempt in range(self._chance.choice((1, 2, 3, 4)) if self._key else 1):
            answer = yield from self._send(attempt)
            if answer is not None and answer.state == "done":
                self._world.heard(self._conversation, answer, self._body)
                if not self._again:
                    return
                self._again = False
                yield from wander(self._world, (0, 100, 600))
            yield None

    def _send(self, attempt: int) -> Steps[Answer | None]:
        """One try; None where it has left or failed."""
        world, chance = self._world, self._chance
        number = f"{self._number}-{attempt}"
        turn = turn_of(world, self._conversation, self._body, self._key, number)
        wait, patience = chance.random() > 0.25, chance.choice((0, 30, 300))
        work = route(world, self._conversation, turn, wait=wait, patience=patience)
        task = world.spawn(work, chance.randrange(2), "route")
        if chance.random() < 0.35 and (yield from self._leaves(task)):
            return None
        try:
            answer: Answer = yield task.result
        except Failed:
            return None
        if answer.state == "parked" and not wait:
            patience = chance.choice((0, 30, 300))
            return (yield from look(world, self._conversation, answer.turn_id, patience))
        return answer

    def _leaves(self, task: Task[Answer]) -> Steps[bool]:
        """Whether the caller has left before the answer came."""
        for _ in range(self._chance.choice((0, 2, 6, 15, 40))):
            if task.result.done:
                return False
            yield None
        if task.result.done:
            return False
        self._world.seen["left"] += 1
        if self._world.mutated("no_own_lock") and self._chance.random() < 0.5:
            # The sidecar's lock goes with its caller; the handler goes on.
            actor = Actor(CHAT, self._conversation)
            lock = self._world.host(actor).locks[actor]
            lock.leave(lock.holder)
        return True


def clear(world: "World", conversation: str) -> Steps[None]:
    """Clears a conversation: what was accepted before has an end then, and is hidden."""
    notes = world.notes
    accepted, floor = set(notes.accepted), max(notes.pairs[conversation], default=0)
    try:
        yield from world.call(Actor(CHAT, conversation), "clear")
    except Failed:
        return
    world.seen["cleared"] += 1
    notes.floor[conversation] = max(notes.floor[conversation], floor)
    left = notes.without_end(conversation, accepted)
    if left:
        raise Violation(f"{conversation} was cleared, but {left} have no end")


def tell(world: "World", conversation: str, body: str, times: int) -> Steps[None]:
    """Tells so many times of one turn that another service has answered."""
    turn = Turn(f"{conversation}-told-{body}", "", body, world.users[conversation])
    outcome = Answer("done", f"{body}#told", turn.turn_id)
    world.notes.adopted.add(turn.turn_id)
    for _ in range(times):
        try:
            answer = yield from world.call(Actor(CHAT, conversation), "adopt", turn, outcome)
        except Failed:
            yield None
            continue
        if answer.state == "done":
            world.heard(conversation, answer, body)


def browse(world: "World", conversation: str) -> Steps[None]:
    """Reads the history now and then."""
    for _ in range(world.chance.choice((1, 2, 4))):
        yield from wander(world, (0, 10, 60, 200))
        yield from read(world, conversation)


def read(world: "World", conversation: str) -> Steps[None]:
    """Reads the history once: it has every pair that was there and is not cleared, and no other."""
    notes = world.notes
    wanted, floor = set(notes.pairs[conversation]), notes.floor[conversation]
    shown = yield from read_history(world, conversation)
    world.seen["histories read"] += 1
    # What was cleared meanwhile may be shown or not.
    head: Head = world.store[Actor(CHAT, conversation)].get("head") or Head()
    missed = {seq for seq in wanted if seq > head.start and seq not in shown}
    if missed:
        raise Violation(f"a reader misses the pairs {missed} of {conversation}")
    if any(seq <= floor for seq in shown):
        raise Violation(f"a reader sees a pair of {conversation} that was cleared")
    if any(pair != notes.pairs[conversation][seq] for seq, pair in shown.items()):
        raise Violation(f"a reader sees another pair of {conversation}")


def wander(world: "World", steps: tuple[int, ...]) -> Steps[None]:
    """Lets one of these numbers of steps pass."""
    for _ in range(world.chance.choice(steps)):
        yield None


def after(world: "World", steps: tuple[int, ...], work: Steps[Any]) -> Steps[None]:
    """Does something after one of these numbers of steps."""
    yield from wander(world, steps)
    yield from work
