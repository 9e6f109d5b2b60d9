"""Blocking work in a thread that the end of the process does not wait for."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from agent_actors.errors import AgentError, StartupError

Result = TypeVar("Result")


async def in_thread(work: Callable[[], Result]) -> Result:
    """Runs blocking work, such as a read from a disk that may hang, and returns its result.

    The thread is a daemon: a pool's threads are joined at exit, so doctor would hang with them.

    Raises:
        OSError, AgentError, StartupError: From the work.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def settle(setter: Callable[[Any], None], value: object) -> None:
        with suppress(RuntimeError):  # The caller gave up, and the loop is closed.
            loop.call_soon_threadsafe(lambda: None if done.done() else setter(value))

    def run() -> None:
        try:
            settle(done.set_result, work())
        except (OSError, AgentError, StartupError) as error:
            settle(done.set_exception, error)

    threading.Thread(target=run, name="doctor", daemon=True).start()
    return await done
