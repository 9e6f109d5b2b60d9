"""Work that nobody waits for: the tasks of one part of the service, which end with it."""

import asyncio
import logging
import traceback
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

log = logging.getLogger(__name__)

R = TypeVar("R")


class Background:
    """Tasks of one part.

    Args:
        what: What is said in the log of one that failed, such as "a summary was not made".
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def begin(self, work: Coroutine[Any, Any, R]) -> "asyncio.Task[R]":
        """Begins it as a task of its own.

        Its context is empty: it would inherit the caller's reentrancy id, and be let in beside a
        running turn (rule 7, docs/protocol.md).
        """
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def drain(self) -> None:
        """Returns when nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Ends what is under way. Idempotent."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # Not its text, which asyncio would log: it may hold what people said (I13).
            log.error("%s: %s", self._what, type(error).__name__)
            log.debug("its trace: %s", "".join(traceback.format_tb(error.__traceback__)))
