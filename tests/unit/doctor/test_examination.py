"""How the checks are run."""

import asyncio
from collections.abc import Sequence

from agent_actors.clock import SystemClock
from agent_actors.doctor.examination import examine
from agent_actors.doctor.finding import Finding, Report


class Fine:
    name = "fine"

    async def look(self) -> Sequence[Finding]:
        return [*Report(self.name).warn("nearly", "mend it"), *Report(self.name).ok("well")]


class Hanging:
    name = "hanging"

    async def look(self) -> Sequence[Finding]:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_check_that_hangs_fails_and_the_next_is_made():
    """What is found is told in the order of the checks."""
    found = [each async for each in examine([Fine(), Hanging(), Fine()], SystemClock(), 0.05)]

    assert [(each.check, each.status) for each in found] == [
        ("fine", "warn"),
        ("fine", "ok"),
        ("hanging", "FAIL"),
        ("fine", "warn"),
        ("fine", "ok"),
    ]
    assert "0.05 s" in found[2].found


class Broken:
    name = "broken"

    async def look(self) -> Sequence[Finding]:
        raise PermissionError(13, "Permission denied", "/somebody/else")


async def test_a_check_that_the_system_refuses_fails():
    """It says what the system said, and the next is made."""
    found = [each async for each in examine([Broken(), Fine()], SystemClock(), 5)]

    assert [(each.check, each.status) for each in found][:2] == [
        ("broken", "FAIL"),
        ("fine", "warn"),
    ]
    assert "Permission denied" in found[0].found
