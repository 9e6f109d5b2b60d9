"""Who holds the data folder. Nothing is locked to find out: that could stop a start."""

import os
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
        file = lock.stat()
    except FileNotFoundError:
        return None
    for line in lines:
        fields = line.split()
        if len(fields) < _FIELDS or fields[1:4] != ["FLOCK", "ADVISORY", "WRITE"]:
            continue
        if _is(file, fields[5]):
            return int(fields[4])
    return None


def _is(file: os.stat_result, named: str) -> bool:
    """Is it the file that a line names by its device, in hexadecimal, and its number there?"""
    device, _, number = named.rpartition(":")
    if number != str(file.st_ino):
        return False
    major, minor = os.major(file.st_dev), os.minor(file.st_dev)
    # Where there is no disk of its own below, as with btrfs and overlayfs, `stat` may tell of
    # another minor number than the kernel's lists do.
    return device.startswith("00:") if major == 0 else device == f"{major:02x}:{minor:02x}"
