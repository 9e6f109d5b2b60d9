"""The log of events that come again after a RETRY."""

from agent_actors.routes.sidecar.redeliveries import KEPT, RedeliveryLog


def test_a_retried_event_is_recognised_once():
    """Only when it comes again, and until it is retried again."""
    log = RedeliveryLog()
    assert not log.pop(b"one")

    log.add(b"one")
    assert not log.pop(b"two")
    assert log.pop(b"one")
    assert not log.pop(b"one")


def test_the_log_is_limited():
    """The oldest event is dropped first."""
    log = RedeliveryLog()
    for number in range(KEPT + 1):
        log.add(b"%d" % number)

    assert not log.pop(b"0")
    assert log.pop(b"1")
    assert log.pop(b"%d" % KEPT)
