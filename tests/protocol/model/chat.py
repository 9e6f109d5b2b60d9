"""ChatAgent: a conversation's history, its queue of turns, and the events it owes."""

from tests.protocol.model.activation import Activation
from tests.protocol.model.consumers import marks
from tests.protocol.model.documents import (
    RESPONSE,
    Actor,
    Answer,
    Event,
    Head,
    Pair,
    Queued,
    Record,
    Turn,
    find_pair,
    is_turn,
    segment_of,
)
from tests.protocol.model.draft import Draft, LoadSegment
from tests.protocol.model.readers import find_outcome
from tests.protocol.model.steps import Failed, Steps, Violation

QUEUE = 3
"""Turns that may wait."""
TRIES = 3
"""Starts of a queued turn."""
DRIVE = 2
"""Queue entries that are settled by one call."""
PUBLISH = 4
"""Events that one tick publishes."""
LOST = Answer("failed", "lost")


# -- the calls ---------------------------------------------------------------------------------


def process(chat: Activation, turn: Turn, wait: bool) -> Steps[Answer]:
    """Runs a turn, or says where it is."""
    chat.last_user = turn.user
    head = yield from _resume(chat, (yield from _head(chat)))
    record, queued = yield from _known(chat, head, turn)
    known = record or (queued.turn if queued else None)
    if known is not None and known.body != turn.body:
        return Answer("reused")
    if record is not None and (record.seq or not chat.world.mutated("retry_failed")):
        return (yield from _answer_again(chat, head, record))
    if queued is not None:
        return Answer("parked", turn_id=queued.turn.turn_id)
    if head.queue and not chat.world.mutated("queue_bypass"):
        return (yield from _park(chat, head, turn, 0))
    answer = yield from _respond(chat, turn, start=True, wait=wait)
    if answer.state == "running":
        return (yield from _park(chat, head, turn, 1))
    if answer.state == "failed":
        raise Failed("the model failed")  # Nothing was saved, so the key may be used again.
    yield from _settle(chat, head, turn, answer, queued=False)
    return answer


def complete(chat: Activation, turn: Turn, outcome: Answer) -> Steps[None]:
    """Settles the queue's head and goes on with the queue; any other turn is ignored (4.7)."""
    head = yield from _head(chat)
    first = head.queue[0].turn.turn_id if head.queue else ""
    if first != turn.turn_id and not chat.world.mutated("complete_unchecked"):
        return
    head = yield from _settle(chat, head, turn, outcome, queued=True)
    yield from _drive(chat, head, fresh=True)


def adopt(chat: Activation, turn: Turn, outcome: Answer) -> Steps[Answer]:
    """Commits a turn that ended elsewhere, once; the queue goes on as it is (rule 14)."""
    head = yield from _head(chat)
    if not chat.world.mutated("adopted_leaves_queue"):
        head = yield from _resume(chat, head)
    record, queued = yield from _known(chat, head, turn)
    if chat.world.mutated("adopted_unseen"):
        record = None
    if record is not None:
        return (yield from _answer_again(chat, head, record))
    if queued is not None:
        return Answer("parked", turn_id=turn.turn_id)
    yield from _settle(chat, head, turn, outcome, queued=False)
    return outcome


def clear(chat: Activation) -> Steps[None]:
    """Hides every pair and ends every queued turn as cancelled, in one save (4.14, 4.23)."""
    head, world = (yield from _head(chat)), chat.world
    if world.mutated("clear_resets"):
        yield from chat.save({"head": Head(user=head.user)})
        return
    if head.start == head.seq and not head.queue:
        return
    draft = _draft(chat, head)
    if world.mutated("clear_wipes"):
        draft.wipe()
    draft.clear(keep_queue=world.mutated("clear_keeps_queue"))
    yield from _commit(chat, draft)


def tick(chat: Activation) -> Steps[None]:
    """The recovery reminder: goes on with the queue, publishes what is missed, erases, rests."""
    chat.armed = True
    head = yield from _drive(chat, (yield from _head(chat)), fresh=False)
    user = chat.last_user if chat.world.mutated("owner_volatile") else head.user
    mark = head.seq
    if head.seq and not chat.world.mutated("broker_confirms"):
        mark = yield from marks(chat, user)
    yield from _publish_after(chat, head, user, mark)
    gone = head.start if chat.world.mutated("erase_unremembered") else min(head.start, mark)
    if head.low <= gone:
        draft = _draft(chat, head)
        yield from draft.erase(gone, _segments(chat))
        yield from chat.save(draft.changes)
        head = draft.head
    if not head.queue and mark >= head.seq and head.low > head.start:
        yield from chat.disarm()


# -- their steps -------------------------------------------------------------------------------


def _head(chat: Activation) -> Steps[Head]:
    head: Head = yield from chat.load("head", Head())
    return head


def _known(chat: Activation, head: Head, turn: Turn) -> Steps[tuple[Record | None, Queued | None]]:
    """The record of a turn, and its place in the queue, by id or key."""
    if chat.world.mutated("no_dedupe"):
        return None, None
    sizes = (chat.world.sizes.kept, chat.world.sizes.recent)
    record = yield from find_outcome(
        sizes, head, (turn.turn_id, turn.key), lambda key: chat.load(key, ())
    )
    queued = (each for each in head.queue if is_turn(each.turn, turn.turn_id, turn.key))
    return record, next(queued, None)


def _answer_again(chat: Activation, head: Head, record: Record) -> Steps[Answer]:
    """A recorded outcome is final (4.16)."""
    if not record.seq:
        return Answer("failed", record.error, record.turn_id)
    pair = (yield from _pair(chat, head, record.seq)) if record.seq > head.start else None
    if pair is None:
        return Answer("gone", turn_id=record.turn_id)
    return Answer("done", pair.answer, record.turn_id)


def _pair(chat: Activation, head: Head, seq: int) -> Steps[Pair | None]:
    found = find_pair(head.tail, seq)
    if found is not None:
        return found
    return find_pair((yield from chat.load(f"h{segment_of(seq)}", (), cached=False)), seq)


def _segments(chat: Activation) -> LoadSegment:
    return lambda number: chat.load(f"h{number}", (), cached=False)


def _draft(chat: Activation, head: Head) -> Draft:
    return Draft(head, chat.world)


def _park(chat: Activation, head: Head, turn: Turn, tries: int) -> Steps[Answer]:
    """Accepts a turn durably; it ends without its caller from here on."""
    if len(head.queue) >= QUEUE:
        return Answer("busy")
    draft = _draft(chat, head)
    draft.enqueue(turn, tries)
    yield from chat.arm()
    yield from chat.save(draft.changes)
    return Answer("parked", turn_id=turn.turn_id)


def _settle(
    chat: Activation, head: Head, turn: Turn, outcome: Answer, *, queued: bool
) -> Steps[Head]:
    """A turn is over: one transaction, then its event. Returns the new head."""
    world, draft = chat.world, _draft(chat, head)
    draft.dequeue(turn)
    if outcome.state == "done":
        yield from draft.append(turn, outcome.text, _segments(chat))
    draft.record(turn, outcome)
    if world.mutated("split_commit"):
        yield from _commit(chat, draft.without_record(head))
    if world.mutated("arm_only_parked") and not queued:
        yield from chat.save(draft.changes)
    else:
        yield from _commit(chat, draft)
    if outcome.state == "done":
        yield from _publish(chat, draft.head.user, draft.head.tail[-1])
    return draft.head


def _commit(chat: Activation, draft: Draft) -> Steps[None]:
    """Arms the reminder, then saves: a crash between leaves no unsettled turn alone (4.5)."""
    world = chat.world
    if world.mutated("arm_after_save"):
        yield from chat.save(draft.changes)
        yield from chat.arm()
        return
    yield from chat.arm()
    if world.mutated("records_apart"):
        yield from chat.save({key: doc for key, doc in draft.changes.items() if key[0] != "r"})
    yield from chat.save(draft.changes)


def _publish(chat: Activation, user: str, pair: Pair) -> Steps[None]:
    """A failure is forgotten: the reminder publishes what a consumer misses."""
    try:
        yield from chat.world.publish(Event(chat.name, user, pair))
    except Failed:
        return


def _publish_after(chat: Activation, head: Head, user: str, mark: int) -> Steps[None]:
    """The events after a mark, some at a time; who gets the newest reads the rest itself."""
    owed = range(mark + 1, head.seq + 1)
    for seq in (*owed[:PUBLISH], *owed[PUBLISH:][-1:]):
        pair = yield from _pair(chat, head, seq)
        if pair is None:
            raise Violation(f"event {seq} of {chat.name} cannot be rebuilt")
        yield from _publish(chat, user, pair)


def _respond(chat: Activation, turn: Turn, *, start: bool, wait: bool) -> Steps[Answer]:
    response = Actor(RESPONSE, chat.name)
    answer: Answer = yield from chat.ask(response, "process", turn, start, wait, chat.world.count)
    return answer


def _resume(chat: Activation, head: Head) -> Steps[Head]:
    """Drives a queue that this activation has not driven yet: its process may be gone (rule 12)."""
    if not head.queue or chat.armed or chat.world.mutated("queue_waits_for_tick"):
        return head
    try:
        yield from chat.arm()
        return (yield from _drive(chat, head, fresh=False))
    except Failed:
        return (yield from _head(chat))


def _drive(chat: Activation, head: Head, *, fresh: bool) -> Steps[Head]:
    """Goes on with the queue; never waits for a model.

    Args:
        chat: The actor.
        head: As it was saved last.
        fresh: The queue's head was put first by the last save and was never started.
    """
    for _ in range(DRIVE):
        if not head.queue:
            break
        first = head.queue[0]
        answer = yield from _respond(chat, first.turn, start=fresh, wait=False)
        if answer.state == "unknown" and first.tries < TRIES:
            # Saved before the start: a turn that ends its process must not run for ever (4.10).
            draft = _draft(chat, head)
            draft.try_again()
            head = draft.head
            if not chat.world.mutated("tries_volatile"):
                yield from chat.save(draft.changes)
            answer = yield from _respond(chat, first.turn, start=True, wait=False)
        if answer.state == "running":
            break
        outcome = LOST if answer.state == "unknown" else answer
        head = yield from _settle(chat, head, first.turn, outcome, queued=True)
        fresh = True
    return head
