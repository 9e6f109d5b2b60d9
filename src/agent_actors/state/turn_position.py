"""Where a turn stands: new, waiting, or ended. The one place that decides it.

ChatAgent asks before it runs a turn, readers ask for those who wait for one, and workflows ask
before they begin one. All of them follow the same rules:

- A turn is found by its id or, if its caller sent an idempotency key, by the hash of that key.
- A key belongs to one message; used with another one it is refused.
- A recorded outcome is final: a retry gets the same reply, the same error or the same cancellation,
  and nothing runs again (4.16, docs/protocol.md).
- A reply that was cleared since is gone; the turn is not run again for it.
- Of the turns in the queue, the first is running and the others are queued.
"""

from dataclasses import dataclass

from agent_actors.errors import Gone, Invalid, NotFound
from agent_actors.protocol.messages import Problem, TurnState, TurnStatus
from agent_actors.state.documents.conversation import Head, OutcomeRecord, Pair, is_turn


@dataclass(frozen=True, slots=True)
class TurnPosition:
    """Where a known turn stands; `seq` is the number of the pair with its reply, if it is done."""

    turn_id: str
    status: TurnStatus
    seq: int | None = None
    error: Problem | None = None

    def state(self, pair: Pair | None = None) -> TurnState:
        """The state as callers see it; `Gone` if the turn is done, but its `pair` was erased."""
        if self.seq is not None and pair is None:
            raise _cleared(self.turn_id)
        return TurnState(self.turn_id, self.status, pair.output if pair else None, self.error)


def position_of(
    head: Head, record: OutcomeRecord | None, turn_id: str, key_hash: str = "", body_hash: str = ""
) -> TurnPosition | None:
    """Where a turn stands; None if the conversation does not know it.

    `record` is the turn's outcome, if one is recorded, in the head or in an older document. The
    hash of its message is only compared if there is one of an idempotency key.

    Raises:
        Invalid: The key was used with another message.
        Gone: The turn's reply was cleared.
    """
    waiting = [each.turn for each in head.queue]
    queued = next((each for each in waiting if is_turn(each, turn_id, key_hash)), None)
    known = record or queued
    if known is None:
        return None
    if key_hash:
        check_body(known.body_hash, body_hash)
    if record is not None:
        if record.seq is not None and record.seq <= head.start:
            raise _cleared(record.turn_id)
        return TurnPosition(record.turn_id, record.status, record.seq, record.error)
    return TurnPosition(known.turn_id, "running" if known is waiting[0] else "queued")


def check_body(known: str, body_hash: str) -> None:
    """Raises `Invalid` if a key comes with another message than before."""
    if known != body_hash:
        raise Invalid("This Idempotency-Key was used with another message.")


def check_user(head: Head, user: str) -> None:
    """Raises `NotFound` for everybody but the owner; before its first turn there is none."""
    if head.user and head.user != user:
        raise NotFound("There is no such conversation of this user.")


def check_open(head: Head, user: str) -> None:
    """Raises `NotFound` for another user's conversation, `Gone` for one that is closed for good."""
    check_user(head, user)
    if head.ended == "closed":
        raise Gone("This session was deleted with its user; begin another one.")


def _cleared(turn_id: str) -> Gone:
    return Gone("The answer of this turn was cleared.", turn_id=turn_id)
