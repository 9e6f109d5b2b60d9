"""A start that fails under a server of others, such as uvicorn: one line, not a traceback.

Our own command shows a `StartupError` by itself.
"""

import logging
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.types import Message, Send

from agent_actors.errors import StartupError

log = logging.getLogger(__name__)

FAILED = 3
"""The exit code by which uvicorn and gunicorn know not to start a worker again."""
_SERVERS = frozenset({"daphne", "fastapi", "granian", "gunicorn", "hypercorn", "uvicorn"})
_OURS = frozenset({"agent-actors", "agent_actors"})


@contextmanager
def explained() -> Iterator[None]:
    """Ends the process with a line where a server imports the app; elsewhere the error is raised.

    A server prints the traceback of an error at the import, and a supervisor of workers starts the
    worker again for ever, unless it ends with this code.
    """
    try:
        yield
    except StartupError as error:
        if not _imported_by_server():
            raise
        log.critical("%s", error)
        sys.exit(FAILED)


def _imported_by_server() -> bool:
    """Whether this is the process of a server's command, or a worker that a program has started."""
    command = Path(sys.argv[0] if sys.argv else "")
    name = command.parent.name if command.stem == "__main__" else command.stem
    if name in _OURS:
        return False
    return name in _SERVERS or multiprocessing.parent_process() is not None


def brief(send: Send, failure: Callable[[], StartupError | None]) -> Send:
    """Sends the text of the error that a start has failed with, in place of its traceback."""

    async def send_brief(message: Message) -> None:
        error = failure()
        if error is not None and message["type"] == "lifespan.startup.failed":
            message = {**message, "message": str(error)}
        await send(message)

    return send_brief
