"""Calls that are tried again, with pauses that double."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from agent_actors.clock import Clock

R = TypeVar("R")

Sleep = Callable[[float], Awaitable[object]]
"""Returns after that many seconds, or earlier when there is a reason to."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a call is tried, and how long the pauses between the attempts are.

    Args:
        pause: Seconds before the second attempt. Every further pause is twice the one before.
        longest: No pause is longer than this many seconds.
        attempts: The number of attempts, the first one included.
        time: No attempt starts later than this many seconds after the first one.
    """

    pause: float
    longest: float = math.inf
    attempts: float = math.inf
    time: float = math.inf


async def retry(
    call: Callable[[], Awaitable[R]],
    policy: RetryPolicy,
    *,
    on: type[Exception] | tuple[type[Exception], ...],
    clock: Clock,
    sleep: Sleep | None = None,
) -> R:
    """Awaits `call()` until it succeeds or the policy is exhausted.

        REPORTS = RetryPolicy(pause=1.0, attempts=4)
        await retry(lambda: client.report(user, report), REPORTS, on=TryLater, clock=clock)

    Args:
        call: Starts one attempt.
        policy: How often and how fast.
        on: The errors after which another attempt may succeed. All others are raised at once.
        clock: The time.
        sleep: Waits between attempts; `clock.sleep` unless the wait has to end early.

    Returns:
        What the first successful attempt returned.

    Raises:
        Exception: The error of the last attempt.
    """
    end = clock.monotonic() + policy.time
    pause, attempt = min(policy.pause, policy.longest), 1
    while True:
        try:
            return await call()
        except on:
            if attempt >= policy.attempts or clock.monotonic() + pause > end:
                raise
        await (sleep or clock.sleep)(pause)
        pause, attempt = min(2 * pause, policy.longest), attempt + 1
