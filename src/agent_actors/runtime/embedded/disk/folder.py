"""The data folder, which one process uses at a time."""

import logging
import multiprocessing
import os
from pathlib import Path

from filelock import FileLock, Timeout

from agent_actors.errors import StartupError

log = logging.getLogger(__name__)

LOCK = "lock"
LOCKS = Path("/proc/locks")
LOST = "The data folder was removed or replaced while the service runs; restart the service."


class DataFolder:
    """A data folder that is locked by this process. Any death of the process unlocks it."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        self.path = path
        self._lock = lock
        self._watched: dict[Path, tuple[int, int]] = {}
        self._lost = False
        self.watch(path / LOCK)

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
            raise StartupError(_in_use(path)) from None
        except (OSError, NotImplementedError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it cannot be locked"
            raise StartupError(
                f"The data folder {str(path)!r} cannot be written ({reason}); set AGENT_ACTORS_DATA"
                " to another folder."
            ) from None
        return cls(path, lock)

    def watch(self, file: Path) -> None:
        """Remembers a file of the folder: saves to one that is no longer there would be lost."""
        found = file.stat()
        self._watched[file] = (found.st_dev, found.st_ino)

    def lost(self) -> bool:
        """Whether a watched file was removed or replaced, perhaps with the whole folder."""
        if not self._lost and not all(map(self._is_there, self._watched)):
            self._lost = True
            log.error("the data folder %s was removed or replaced: nothing is saved", self.path)
        return self._lost

    def _is_there(self, file: Path) -> bool:
        try:
            found = file.stat()
        except OSError:
            return False
        return self._watched[file] == (found.st_dev, found.st_ino)

    def release(self) -> None:
        """Unlocks the folder for other processes. Idempotent."""
        self._lock.release()


def _in_use(path: Path) -> str:
    try:
        owner = lock_owner(path / LOCK)
    except OSError:
        owner = None
    holder = "another process" if owner is None else f"process {owner}"
    if multiprocessing.parent_process() is not None:
        return (
            f"The data folder {str(path)!r} is in use by {holder}: on the embedded runtime, one"
            " process uses a data folder, so several workers cannot serve. Start one worker, or run"
            " on Dapr, which has any number of processes (docs/dapr.md)."
        )
    return (
        f"The data folder {str(path)!r} is in use by {holder}; stop it, or set AGENT_ACTORS_DATA"
        " (or --data) to another folder."
    )


def lock_owner(lock: Path, locks: Path = LOCKS) -> int | None:
    """The process that holds a lock; taking the lock to find out could fail a start.

    None means that nobody holds it, or a process of another container.

    Raises:
        OSError: This system does not list its locks.
    """
    lines = locks.read_text(encoding="ascii").splitlines()
    try:
        file = lock.stat()
    except FileNotFoundError:
        return None
    major, minor = os.major(file.st_dev), os.minor(file.st_dev)
    # btrfs and overlayfs have no disk of their own (major 0): there, `stat` and the kernel's list
    # may differ in the minor number.
    disk = "00:" if major == 0 else f"{major:02x}:{minor:02x}"
    for line in lines:
        match line.split():
            case [_, "FLOCK", "ADVISORY", "WRITE", process, listed, *_]:
                device, _, inode = listed.rpartition(":")
                if inode == str(file.st_ino) and device.startswith(disk):
                    return int(process)
    return None
