"""The `Prefer` header."""

import pytest

from agent_actors.routes.edge.preferences import Preferences


@pytest.mark.parametrize(
    ("header", "wait", "respond_async"),
    [
        (None, None, False),
        ("", None, False),
        ("wait=5", 5, False),
        ("WAIT = 5", 5, False),
        ('wait="5"', 5, False),
        ("wait=0", 0, False),
        ("respond-async", None, True),
        ("Respond-Async, wait=10", 10, True),
        ("wait=1, wait=2", 1, False),
        ("return=minimal; foo=bar, wait=3; x=y", 3, False),
        ("wait=-1", None, False),
        ("wait=1.5", None, False),
        ("wait=٣", None, False),
        ("wait", None, False),
        ("wait=", None, False),
        (",,;=,", None, False),
        ("wait=" + "9" * 400, 999_999_999, False),
    ],
)
def test_a_header_is_read(header: str | None, wait: int | None, respond_async: bool):
    """Unknown and malformed preferences are ignored, as the RFC demands."""
    assert Preferences.read(header) == Preferences(wait, respond_async)


@pytest.mark.parametrize(
    ("header", "seconds", "applied"),
    [
        (None, 300.0, ""),
        ("wait=5", 5.0, "wait=5"),
        ("wait=0", 0.0, "wait=0"),
        ("respond-async", 0.0, "respond-async"),
        ("respond-async, wait=7", 0.0, "respond-async"),
    ],
)
def test_patience_is_the_callers(header: str | None, seconds: float, applied: str):
    """The caller's preference wins over the setting, and the answer names it."""
    preferences = Preferences.read(header)

    assert preferences.patience(300.0) == seconds
    assert preferences.applied(300.0) == applied


def test_the_setting_is_the_longest_wait():
    """A caller may only shorten it."""
    preferences = Preferences.read("wait=100000")

    assert preferences.patience(300.0) == 300.0
    assert preferences.applied(300.0) == "wait=300"
