"""The forms in which Dapr takes the times of reminders and timers."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tests.conformance.harness import Harness

Body = dict[str, Any]

DUE_TIMES: list[Body] = [
    {"dueTime": form}
    for form in (
        *("1.5h", ".5h", "1h30m", "P1D", "P1W", "P1M", "P1Y", "P1Y2M3W4DT5H6M7S", "999999h"),
        "2099-01-01T00:00:00.5+02:00",
    )
]
"""Due times that reminders and timers both have."""
NO_TIMES: list[Body] = [
    *(
        {"dueTime": form}
        for form in (
            *("soon", "5", 5, "1d", "P", "PT1.5S", "R3/PT1S", "9999999h"),
            *("2099-01-01", "2099-01-01T00:00:00"),
        )
    ),
    *(
        {"dueTime": "1h", "period": form}
        for form in ("soon", "R/PT1H", "R3/1h", "@every 1h", "2099-01-01T00:00:00Z")
    ),
    *(
        {"dueTime": "1h", "period": "1h", "ttl": form}
        for form in ("-1s", "soon", "R2/PT1H", "2000-01-01T00:00:00Z")
    ),
]
"""What neither takes for times."""


async def taken(
    runtime: Harness, register: Callable[..., Awaitable[object]], bodies: Sequence[Body]
) -> list[Body]:
    """Those of the bodies that may be registered."""
    return [each for each in bodies if not await runtime.refuses(register("a", "odd", **each))]
