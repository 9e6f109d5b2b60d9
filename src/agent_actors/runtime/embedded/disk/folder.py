"""The data folder, which one process uses at a time."""

from pathlib import Path

from filelock import FileLock, Timeout

from agent_actors.errors import StartupError

LOCK = "lock"


class DataFolder:
    """A data folder that is locked by this process. Any death of the process unlocks it."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def take(cls, path: Path) -> "DataFolder":
        """Creates the folder if needed, and locks it.

        Raises:
            StartupError: The folder cannot be written, or another process has locked it.
        """
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            # No soft lock: it would outlive a killed process.
            lock = FileLock(path / LOCK, timeout=0, thread_local=False, fallback_to_soft=False)
            lock.acquire()
        except Timeout:
            raise StartupError(
                f"The data folder {str(path)!r} is in use by another process; stop it, or"
                " use another folder (--data, or AGENT_ACTORS_DATA)."
            ) from None
        except (OSError, NotImplementedError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it cannot be locked"
            raise StartupError(
                f"The data folder {str(path)!r} cannot be written ({reason}); set AGENT_ACTORS_DATA"
                " to another folder."
            ) from None
        return cls(path, lock)

    def release(self) -> None:
        """Unlocks the folder for other processes. Idempotent."""
        self._lock.release()
