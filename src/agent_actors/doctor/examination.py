"""Runs the checks, one after the other, each within its time."""

from collections.abc import AsyncIterator, Iterable

from agent_actors.clock import Clock
from agent_actors.doctor.finding import Check, Finding, Report

PATIENCE = 15.0
"""Seconds that a check may take; what it waits for has shorter time-outs of its own."""


async def examine(
    checks: Iterable[Check], clock: Clock, patience: float = PATIENCE
) -> AsyncIterator[Finding]:
    """The findings as they are made, in the order of the checks: later ones use what earlier saw.

    Args:
        checks: What is looked at.
        clock: Measures their time.
        patience: Seconds for each.
    """
    for check in checks:
        try:
            async with clock.timeout(patience):
                findings = await check.look()
        except TimeoutError:
            findings = Report(check.name).fail(
                f"not known after {patience:g} s", "look why it hangs, and run this again"
            )
        except OSError as error:
            findings = Report(check.name).fail(
                f"it could not be looked at ({error.strerror or type(error).__name__})",
                "look at the folders and addresses that the settings name",
            )
        for finding in findings:
            yield finding
