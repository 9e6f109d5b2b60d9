"""Retries: how often, how fast, and after which errors."""

import asyncio
from dataclasses import dataclass, field

import pytest

from agent_actors.errors import Invalid, TryLater, Unavailable
from agent_actors.retry import RetryPolicy, retry
from tests.hand_clock import HandClock, settle


@dataclass
class Flaky:
    """Fails with each error once, then succeeds; notes when it was called."""

    clock: HandClock
    errors: list[Exception]
    times: list[float] = field(default_factory=list)

    async def __call__(self) -> str:
        self.times.append(self.clock.monotonic())
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def away(times: int) -> list[Exception]:
    return [Unavailable("away") for _ in range(times)]


async def run(flaky: Flaky, policy: RetryPolicy, seconds: float = 1_000.0) -> "asyncio.Task[str]":
    """A retry that has had that many seconds."""
    task = asyncio.create_task(retry(flaky, policy, on=TryLater, clock=flaky.clock))
    await settle()
    await flaky.clock.advance(seconds)
    return task


async def test_a_successful_call_is_made_once():
    """Without any pause."""
    flaky = Flaky(HandClock(), [])

    assert (await run(flaky, RetryPolicy(pause=1.0))).result() == "done"
    assert flaky.times == [0.0]


async def test_pauses_double_up_to_the_longest():
    """The first is as the policy says."""
    flaky = Flaky(HandClock(), away(4))

    assert (await run(flaky, RetryPolicy(pause=1.0, longest=3.0))).result() == "done"
    assert flaky.times == [0.0, 1.0, 3.0, 6.0, 9.0]


async def test_the_last_attempt_raises_its_error():
    """After the number of attempts, without a pause behind the last one."""
    flaky = Flaky(HandClock(), away(3))
    task = await run(flaky, RetryPolicy(pause=1.0, attempts=3), 3.0)

    assert isinstance(task.exception(), Unavailable)
    assert flaky.times == [0.0, 1.0, 3.0]


async def test_no_attempt_starts_after_the_time():
    """The error is raised as soon as the next pause would be too long."""
    flaky = Flaky(HandClock(), away(9))
    task = await run(flaky, RetryPolicy(pause=1.0, time=5.0), 3.0)

    assert isinstance(task.exception(), Unavailable)
    assert flaky.times == [0.0, 1.0, 3.0]


async def test_other_errors_are_raised_at_once():
    """Another attempt would end in the same way."""
    flaky = Flaky(HandClock(), [Invalid("no")])

    assert isinstance((await run(flaky, RetryPolicy(pause=1.0), 0.0)).exception(), Invalid)
    assert flaky.times == [0.0]


async def test_a_wait_of_its_own_may_end_early():
    """As when the process stops and nothing should wait any more."""
    clock, waits = HandClock(), list[float]()
    flaky = Flaky(clock, away(2))

    async def no_wait(seconds: float) -> None:
        waits.append(seconds)

    policy = RetryPolicy(pause=1.0)
    assert await retry(flaky, policy, on=TryLater, clock=clock, sleep=no_wait) == "done"
    assert waits == [1.0, 2.0]
    assert flaky.times == [0.0, 0.0, 0.0]


async def test_a_policy_of_no_attempts_still_makes_one():
    """A call that is never made could not return anything."""
    flaky = Flaky(HandClock(), away(1))

    with pytest.raises(Unavailable):
        await retry(flaky, RetryPolicy(1.0, attempts=0), on=TryLater, clock=flaky.clock)
    assert flaky.times == [0.0]
