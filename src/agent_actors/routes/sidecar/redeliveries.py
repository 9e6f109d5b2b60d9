"""Recognises the events that come again because this process asked for a retry."""

from collections import OrderedDict
from collections.abc import Hashable

KEPT = 4_096
"""The number of retried events that are kept; older ones are not recognised."""


class RedeliveryLog:
    """The events that were answered with RETRY. The same delivery has the same hash."""

    def __init__(self) -> None:
        self._retried: OrderedDict[int, None] = OrderedDict()

    def add(self, delivery: Hashable) -> None:
        """A delivery was answered with RETRY."""
        self._retried[hash(delivery)] = None
        if len(self._retried) > KEPT:
            self._retried.popitem(last=False)

    def pop(self, delivery: Hashable) -> bool:
        """Removes a delivery, if it is there; returns whether it was."""
        # Nothing is hashed as long as nothing fails.
        if not self._retried:
            return False
        key = hash(delivery)
        known = key in self._retried
        self._retried.pop(key, None)
        return known
