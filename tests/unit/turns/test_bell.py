"""The bell that wakes who waits for a turn."""

from agent_actors.turns.bell import TurnBell


def test_a_ring_is_heard_by_who_listens_there():
    """Every listener of that conversation hears it, and no other."""
    bell = TurnBell()
    with (
        bell.listen("ada") as first,
        bell.listen("ada") as second,
        bell.listen("bob") as other,
    ):
        bell.ring("ada")

        assert first.is_set()
        assert second.is_set()
        assert not other.is_set()


def test_a_ring_that_nobody_hears_is_nothing():
    """A later listener is not woken by it, and listeners that have left cost nothing."""
    bell = TurnBell()
    bell.ring("ada")
    with bell.listen("ada") as rung, bell.listen("ada"):
        assert not rung.is_set()

    assert not bell._waiting
