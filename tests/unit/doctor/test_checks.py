"""How the checks are run."""

import asyncio

from agent_actors.doctor.checks import Checks, run_checks
from agent_actors.doctor.finding import Context, Finding, Findings, Report
from tests.unit.doctor.conftest import context


async def fine(_: Context) -> Findings:
    return [*Report("fine").warn("nearly", "repair it"), *Report("fine").ok("well")]


async def hanging(_: Context) -> Findings:
    await asyncio.Event().wait()
    raise AssertionError


async def broken(_: Context) -> Findings:
    raise PermissionError(13, "Permission denied", "/somebody/else")


async def run(checks: Checks) -> list[Finding]:
    return [each async for each in run_checks(checks, context(), 0.05)]


async def test_a_check_that_hangs_fails_and_the_next_one_runs():
    """Findings are in the order of the checks."""
    found = await run({"first": fine, "hanging": hanging, "last": fine})

    assert [(each.check, each.status) for each in found] == [
        ("fine", "warn"),
        ("fine", "ok"),
        ("hanging", "FAIL"),
        ("fine", "warn"),
        ("fine", "ok"),
    ]
    assert "0.05 s" in found[2].found


async def test_a_check_that_the_system_refuses_fails():
    """The finding has the system's reason, and the next check runs."""
    found = await run({"broken": broken, "fine": fine})

    assert [(each.check, each.status) for each in found][:2] == [
        ("broken", "FAIL"),
        ("fine", "warn"),
    ]
    assert "Permission denied" in found[0].found
