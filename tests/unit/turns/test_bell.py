"""The bell that wakes who waits for a turn."""

from agent_actors.turns.bell import TurnBell


def test_a_ring_is_heard_by_who_listens_there():
    """Every listener of that conversation hears it, and no other."""
    settled = TurnBell()
    with (
        settled.listen("ada") as first,
        settled.listen("ada") as second,
        settled.listen("bob") as other,
    ):
        settled.ring("ada")

        assert first.is_set()
        assert second.is_set()
        assert not other.is_set()


def test_a_ring_that_nobody_hears_is_nothing():
    """A later listener is not woken by it, and nothing is kept."""
    settled = TurnBell()
    settled.ring("ada")
    with settled.listen("ada") as bell:
        assert not bell.is_set()

    assert not settled._waiting


def test_a_listener_that_left_is_forgotten():
    """Ten thousand conversations that nobody waits for cost nothing."""
    settled = TurnBell()
    with settled.listen("ada"), settled.listen("ada"):
        pass

    assert not settled._waiting
