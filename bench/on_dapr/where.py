"""Which replica has a conversation's ChatAgent."""

from itertools import count

from bench.on_dapr.cluster import Replica
from bench.process import turn


def living(here: Replica, other: Replica, number: int, name: str) -> list[str]:
    """Conversations, begun by the other replica's port, whose ChatAgent is in this one.

    Nothing else may wake a ChatAgent meanwhile, nor may one be put away.
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
