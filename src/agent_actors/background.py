"""Background tasks of one part of the service, which end with it."""

import asyncio
import logging
import traceback
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

log = logging.getLogger(__name__)

R = TypeVar("R")


class Background:
    """The background tasks of one part of the service.

    Args:
        what: The log line for a task that failed, such as "a summary was not made".
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, work: Coroutine[Any, Any, R]) -> "asyncio.Task[R]":
        """Starts a task.

        Its context is empty: with the caller's reentrancy id it could enter an actor beside a
        running turn (rule 7, docs/protocol.md).
        """
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def drain(self) -> None:
        """Returns when no task runs."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Cancels the running tasks and waits for them. Idempotent."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # Not the text, which asyncio would log: it may contain people's messages (I13).
            log.error("%s: %s", self._what, type(error).__name__)
            log.debug("traceback: %s", "".join(traceback.format_tb(error.__traceback__)))
