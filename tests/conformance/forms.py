"""The forms in which Dapr takes the times of reminders and timers."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tests.conformance.harness import CallFailed

Body = dict[str, Any]

DUE_TIMES: list[Body] = [
    {"dueTime": form}
    for form in (
        *("1.5h", ".5h", "1h30m", "P1D", "P1W", "P1M", "P1Y", "P1Y2M3W4DT5H6M7S", "999999h"),
        "2099-01-01T00:00:00.5+02:00",
    )
]
"""Due times that reminders and timers both have."""


async def taken(register: Callable[..., Awaitable[object]], bodies: Sequence[Body]) -> list[Body]:
    """Those of the bodies that may be registered."""
    found = []
    for body in bodies:
        try:
            await register("a", "odd", **body)
        except CallFailed:
            continue
        found.append(body)
    return found
