"""Files that settings name: read whole, so only if they are files and not large."""

import errno
import os
import stat
from pathlib import Path

LARGEST = 1 << 20


def read_file(path: Path, largest: int = LARGEST) -> bytes:
    """What is in a regular file; a pipe would block, and a device may have no end.

    Raises:
        OSError: It is not one, is larger, or cannot be read; `strerror` says which.
    """
    require_regular(path)
    with path.open("rb") as file:
        data = file.read(largest + 1)
    if len(data) > largest:
        raise OSError(errno.EFBIG, f"it has more than {largest:,} bytes", str(path))
    return data


def require_regular(path: Path) -> None:
    """Refuses what is not a regular file, or a link to one, without opening it.

    Raises:
        OSError: It is not one, or there is none.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
