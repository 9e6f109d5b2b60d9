"""The events that this process has asked for again: whoever looks sees which of them came."""

from collections import OrderedDict
from collections.abc import Hashable

KEPT = 4_096
"""Events that are remembered; on a busy day an older one comes again uncounted."""


class RedeliveryLog:
    """Knows an event by what was delivered, which is the same each time."""

    def __init__(self) -> None:
        self._asked: OrderedDict[int, None] = OrderedDict()

    def ask(self, delivered: Hashable) -> None:
        """It was answered with RETRY."""
        self._asked[hash(delivered)] = None
        if len(self._asked) > KEPT:
            self._asked.popitem(last=False)

    def came(self, delivered: Hashable) -> bool:
        """Whether it was, and is here now; asked once for each time."""
        # Nothing is hashed while nothing fails.
        if not self._asked:
            return False
        key = hash(delivered)
        known = key in self._asked
        self._asked.pop(key, None)
        return known
