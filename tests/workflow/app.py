"""`agent-actors serve`, whose workflow steps stop where a test says.

The turns of a user named like a point, as `after.store_conversation`, stop there until there is a
file `released` in the working folder; `reached` names the points at which one stands. The model
writes every call down, as in `tests.faults.counted`.
"""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from agent_actors.cli import main
from agent_actors.clock import SystemClock
from agent_actors.model import selection
from agent_actors.workflow import orchestration
from agent_actors.workflow.activities import Activities, WorkflowDependencies
from agent_actors.workflow.turn import STEPS, TurnOrder
from tests.faults.counted import CountedModel

REACHED = Path("reached")
RELEASED = Path("released")
POINTS = [f"{when}.{step.name}" for step in STEPS for when in ("before", "after")]
"""Where a turn may stop: before a step's effect, and between it and the word of it."""
LOOK = 0.02

Method = Callable[[Any], Awaitable[Any]]


class Stopping(Activities):
    """The steps, each between two points."""

    def __init__(
        self, dependencies: WorkflowDependencies, follow: Callable[[TurnOrder], None]
    ) -> None:
        super().__init__(dependencies, follow)
        for step in STEPS:
            setattr(self, step.name, _between(step.name, getattr(self, step.name)))


def _between(name: str, method: Method) -> Method:
    async def stopping(given: Any) -> Any:
        user = getattr(given, "order", given).turn.user
        await _pass(user, f"before.{name}")
        result = await method(given)
        await _pass(user, f"after.{name}")
        return result

    return stopping


async def _pass(user: str, point: str) -> None:
    if user != point or released():
        return
    reach(point)
    while not released():
        await SystemClock().sleep(LOOK)


def reach(point: str) -> None:
    with REACHED.open("a", encoding="utf-8") as reached:
        reached.write(f"{point}\n")


def released() -> bool:
    return RELEASED.exists()


if __name__ == "__main__":
    setattr(orchestration, "Activities", Stopping)  # noqa: B010 - it is not exported there
    setattr(selection, "ScriptedModel", CountedModel)  # noqa: B010 - neither is this
    main(["serve", "--runtime", "dapr", *sys.argv[1:]])
