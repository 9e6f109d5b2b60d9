"""The events that a process has asked for again."""

from agent_actors.routes.sidecar.redeliveries import KEPT, RedeliveryLog


def test_an_event_that_was_asked_for_is_known_once():
    """When it comes, and then no more, until it is asked for again."""
    asked = RedeliveryLog()
    assert not asked.came(b"one")

    asked.ask(b"one")
    assert not asked.came(b"two")
    assert asked.came(b"one")
    assert not asked.came(b"one")


def test_no_more_are_remembered_than_a_few():
    """The oldest is forgotten first."""
    asked = RedeliveryLog()
    for number in range(KEPT + 1):
        asked.ask(b"%d" % number)

    assert not asked.came(b"0")
    assert asked.came(b"1")
    assert asked.came(b"%d" % KEPT)
