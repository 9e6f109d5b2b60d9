"""Component files for a local Redis."""

import os
from pathlib import Path

SHIPPED = "localhost:6379"
"""The address of Redis in the shipped files."""


def components_for(redis_address: str, source: Path, target: Path) -> Path:
    """Copies component files to the target, which it returns, and replaces the address of Redis.

    The source is a folder, or several separated as in PATH. Old copies are removed.
    """
    target.mkdir(parents=True, exist_ok=True)
    for old in _files(target):
        old.unlink()
    for number, folder in enumerate(str(source).split(os.pathsep)):
        for path in _files(Path(folder)):
            text = path.read_text(encoding="utf-8").replace(SHIPPED, redis_address)
            # Files of the same name in two folders are both copied.
            copy = target / (f"{number}-{path.name}" if number else path.name)
            copy.write_text(text, encoding="utf-8")
    return target


def _files(folder: Path) -> list[Path]:
    return sorted((*folder.glob("*.yaml"), *folder.glob("*.yml")))
