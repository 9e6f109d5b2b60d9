"""Where a turn stands: one function over head, record and queue."""

from dataclasses import replace

import pytest

from agent_actors.errors import Gone, Invalid, ModelFailed, NotFound
from agent_actors.protocol.messages import Problem, Turn
from agent_actors.state.documents.conversation import Head, OutcomeRecord, QueuedTurn
from agent_actors.state.turn_position import (
    TurnPosition,
    check_body,
    check_open,
    check_user,
    position_of,
)
from tests.fakes import a_pair, a_turn

KEYED = a_turn("hi", key="k")
OTHER = a_turn("another message", key="k")
UNKEYED = a_turn("hi")
FAILED = Problem.of(ModelFailed("It failed."))


def a_position(
    turn: Turn, head: Head | None = None, record: OutcomeRecord | None = None
) -> TurnPosition | None:
    return position_of(head or Head(), record, turn.turn_id, turn.key_hash, turn.body_hash)


def done(turn: Turn, seq: int = 1) -> OutcomeRecord:
    return OutcomeRecord(0, turn.turn_id, turn.key_hash, turn.body_hash, "done", seq)


def queue(*turns: Turn) -> Head:
    return Head(queue=tuple(QueuedTurn(turn, 0) for turn in turns))


def test_a_turn_that_nobody_knows_is_new():
    """Neither recorded nor queued."""
    assert a_position(KEYED) is None
    assert a_position(UNKEYED, queue(KEYED)) is None


def test_the_first_of_the_queue_is_running():
    """The others are queued; each is found by its id, or by its key."""
    head = queue(UNKEYED, KEYED)

    assert a_position(UNKEYED, head) == TurnPosition(UNKEYED.turn_id, "running")
    assert a_position(KEYED, head) == TurnPosition(KEYED.turn_id, "queued")
    assert a_position(replace(KEYED, turn_id="?"), head) == TurnPosition(KEYED.turn_id, "queued")


def test_a_done_turn_names_its_pair():
    """The pair has the reply, and is loaded only then."""
    position = a_position(KEYED, record=done(KEYED, 3))

    assert position == TurnPosition(KEYED.turn_id, "done", 3)
    assert position.state(a_pair(3)).reply == a_pair(3).output


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_recorded_error_is_final(status):
    """The same error again, and no pair."""
    record = replace(done(KEYED), status=status, seq=None, error=FAILED)
    position = a_position(KEYED, record=record)

    assert position is not None
    assert (position.state().status, position.state().error) == (status, FAILED)


@pytest.mark.parametrize(
    ("head", "record"),
    [
        (queue(KEYED), None),
        (Head(), done(KEYED)),
        (Head(seq=3, start=3), done(KEYED, 3)),
    ],
    ids=["waits", "has ended", "was cleared"],
)
def test_a_key_is_of_one_message(head: Head, record: OutcomeRecord | None):
    """With another one it is refused, whatever became of the first."""
    with pytest.raises(Invalid):
        a_position(OTHER, head, record)


def test_a_turn_without_a_key_is_known_by_its_id():
    """Its message is not compared: an id cannot be used again by mistake."""
    again = replace(UNKEYED, body_hash="another")

    assert a_position(again, record=done(UNKEYED)) == TurnPosition(UNKEYED.turn_id, "done", 1)


def test_a_cleared_answer_is_gone():
    """At or below `start`, and where the pair was erased; the error names the turn."""
    with pytest.raises(Gone) as cleared:
        a_position(KEYED, Head(seq=3, start=3), done(KEYED, 3))
    with pytest.raises(Gone) as erased:
        TurnPosition(KEYED.turn_id, "done", 3).state(None)

    assert cleared.value.turn_id == erased.value.turn_id == KEYED.turn_id


def test_a_conversation_belongs_to_its_first_user():
    """Before its first turn it is open to everybody; later, others get 404."""
    check_user(Head(), "eve")
    check_user(Head(user="ada"), "ada")
    with pytest.raises(NotFound):
        check_open(Head(user="ada"), "eve")


def test_a_closed_conversation_takes_no_turn():
    """A forgotten one that was not closed does."""
    check_open(Head(user="ada", ended="forgotten"), "ada")
    with pytest.raises(Gone):
        check_open(Head(user="ada", ended="closed"), "ada")


def test_equal_bodies_are_one_message():
    """The hashes are compared, and nothing else."""
    check_body(KEYED.body_hash, KEYED.body_hash)
    with pytest.raises(Invalid):
        check_body(KEYED.body_hash, OTHER.body_hash)
