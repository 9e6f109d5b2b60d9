"""Who holds the data folder. Nothing is locked to find out: that could stop a start."""

from pathlib import Path

LOCKS = Path("/proc/locks")
_FIELDS = 6
"""Of a line: number, kind, advisory, read or write, process, device and file, …"""


def holder(lock: Path, locks: Path = LOCKS) -> int | None:
    """The process that holds a lock; None where nobody does, or a process of another container.

    Raises:
        OSError: This system does not say.
    """
    lines = locks.read_text(encoding="ascii").splitlines()
    try:
        file = lock.stat().st_ino
    except FileNotFoundError:
        return None
    for line in lines:
        fields = line.split()
        if len(fields) < _FIELDS or fields[1:4] != ["FLOCK", "ADVISORY", "WRITE"]:
            continue
        if fields[5].rpartition(":")[2] == str(file):
            return int(fields[4])
    return None
