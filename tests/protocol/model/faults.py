"""What goes wrong with operations: nothing, something at random, or what a plan says."""

import random
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

Plan = Mapping[tuple[str, int], str]
"""Where something goes wrong, a kind and a number, and what."""
ODDS = {"save": 0.08, "reminder": 0.05, "publish": 0.05, "load": 0.02, "model": 0.15}


class Faults(Protocol):
    """What goes wrong with operations."""

    def strikes(self, kind: str) -> str | None:
        """None, `before` (nothing happened), or `after` (it did, but its caller gets an error)."""
        ...


class Flawless:
    """Nothing goes wrong."""

    def strikes(self, kind: str) -> str | None:
        """None."""
        return None


class Chances:
    """Faults at random, each kind at most so many times."""

    def __init__(self, chance: random.Random, budget: dict[str, int]) -> None:
        self._chance = chance
        self._left = Counter(budget)

    def strikes(self, kind: str) -> str | None:
        """Whether an operation fails, and when."""
        if self._chance.random() >= ODDS[kind] or not self.use(kind):
            return None
        return self._chance.choice(("before", "after"))

    def use(self, kind: str) -> bool:
        """Whether there is one more fault of a kind; it is used up."""
        self._left[kind] -= 1
        return self._left[kind] >= 0


class Planned:
    """The n-th operation of a kind fails as planned."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.seen: Counter[str] = Counter()

    def strikes(self, kind: str) -> str | None:
        """What the plan says of this operation."""
        self.seen[kind] += 1
        return self._plan.get((kind, self.seen[kind] - 1))
