"""A child process that serves on a port of loopback."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent_actors.engine.child import Child
from agent_actors.engine.ports import LOOPBACK


class Server(Child, ABC):
    """A server with a port, and with data in a folder that it locks, unless it keeps nothing.

    A restart keeps the port and the data. `within` is the time in seconds that a start may take.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        port: int,
        log: Path,
        within: float,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.port = port
        self._within = within
        self._folder = folder
        super().__init__(argv, log=log, env=env, lock=folder / "lock" if folder else None)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Starts the server and waits until it is ready.

        Raises:
            StartupError: It did not start; the text has the end of its log.
        """
        self.spawn()
        self.wait()

    def spawn(self) -> None:
        """Starts the server; it is not ready yet."""
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        super().start()

    def wait(self) -> None:
        """Waits until the server is ready; raises like `start`."""
        self.wait_until(self.ready, self._within)

    @abstractmethod
    def ready(self) -> bool:
        """Is the server ready?"""

    def stop(self) -> None:
        """Shuts the server down; what it has confirmed is on disk."""
        self.terminate()
