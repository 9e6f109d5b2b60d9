"""Component files for a Redis of one's own."""

import os
from pathlib import Path

SHIPPED = "localhost:6379"
"""Where Redis is in the shipped files."""


def components_for(redis_address: str, source: Path, target: Path) -> Path:
    """Copies the component files of a folder, or of a list of them, with that Redis in them.

    Args:
        redis_address: Host and port.
        source: The folder of the files; several are listed as in PATH.
        target: The folder for the copies; old ones in it are removed.

    Returns:
        The target.
    """
    target.mkdir(parents=True, exist_ok=True)
    for old in _files(target):
        old.unlink()
    for number, folder in enumerate(str(source).split(os.pathsep)):
        for path in _files(Path(folder)):
            text = path.read_text(encoding="utf-8").replace(SHIPPED, redis_address)
            # Files of one name in two folders are two files.
            copy = target / (f"{number}-{path.name}" if number else path.name)
            copy.write_text(text, encoding="utf-8")
    return target


def _files(folder: Path) -> list[Path]:
    return sorted((*folder.glob("*.yaml"), *folder.glob("*.yml")))
