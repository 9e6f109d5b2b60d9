"""Work that a disk may hold up for ever."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from agent_actors.errors import AgentError, StartupError

Result = TypeVar("Result")
Told = TypeVar("Told")


async def aside(work: Callable[[], Result]) -> Result:
    """What the work returns or raises; meanwhile others go on, and its caller may give up.

    In a thread that nobody waits for at the end: those of a pool are waited for, so that `doctor`
    would hang with them after its last line.

    Raises:
        OSError: As the work.
        AgentError: As the work.
        StartupError: As the work.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def run() -> None:
        # Of another error, which is our bug, the thread prints the trace.
        try:
            result = work()
        except (OSError, AgentError, StartupError) as error:
            tell(done.set_exception, error)
        else:
            tell(done.set_result, result)

    def tell(put: Callable[[Told], None], told: Told) -> None:
        with suppress(RuntimeError):  # The loop has gone meanwhile.
            loop.call_soon_threadsafe(settle, put, told)

    def settle(put: Callable[[Told], None], told: Told) -> None:
        if not done.done():
            put(told)

    threading.Thread(target=run, name="aside", daemon=True).start()
    return await done
