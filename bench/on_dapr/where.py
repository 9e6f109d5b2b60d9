"""Finds out which replica has a conversation's ChatAgent."""

from itertools import count

from bench.on_dapr.cluster import Replica
from bench.process import turn


def conversations_on(here: Replica, other: Replica, number: int, name: str) -> list[str]:
    """New conversations, started through the other replica, whose ChatAgent is in this one.

    No other ChatAgent may be activated or deactivated meanwhile.
    """
    found: list[str] = []
    for each in count():
        before = here.hosted("ChatAgent")
        turn(other.port, f"{name}{each}")
        if here.hosted("ChatAgent") > before:
            found.append(f"{name}{each}")
        if len(found) == number:
            return found
    raise AssertionError
