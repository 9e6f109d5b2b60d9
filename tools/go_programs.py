"""Builds programs of others with Go, at pinned versions, into a folder of the user's cache."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic


class NotThere(Exception):
    """The programs cannot be used; the text says what to do."""


def destination(name: str, pinned: Sequence[Path]) -> Path:
    """Where they are built to; other contents of those files have another folder."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    text = b"".join(file.read_bytes() for file in pinned)
    return Path(caches) / "agent-actors" / f"{name}-{hashlib.sha256(text).hexdigest()[:12]}"


def pins(module: Path) -> list[Path]:
    """What says the versions of a module of Go."""
    return [module / "go.mod", module / "go.sum"]


def build(folder: Path, fill: Callable[[str, Path], None]) -> None:
    """Makes the folder from what `fill` writes, given Go and a place: all of it, or none.

    Raises:
        NotThere: There is no Go.
    """
    go = shutil.which("go")
    if go is None:
        what, _, _ = folder.name.rpartition("-")
        raise NotThere(f"Go is needed to build {what} (https://go.dev/dl)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent) as building:
        done = Path(building, "done")
        done.mkdir(mode=0o755)
        fill(go, done)
        done.rename(folder)


def run(command: list[str], module: Path, what: str, **environment: str) -> None:
    """Runs Go in a module, and says how long it took.

    Raises:
        NotThere: It failed.
    """
    started = monotonic()
    done = subprocess.run(command, cwd=module, env=os.environ | environment)
    if done.returncode:
        raise NotThere(f"Go could not build {what}; its messages are above")
    print(f"  {monotonic() - started:4.0f} s  {what}", flush=True)


def version(module: Path, name: str) -> str:
    """What a module pins, without the `v`.

    Raises:
        NotThere: It does not name that.
    """
    text = (module / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^\s*{re.escape(name)} v(\S+)", text, flags=re.MULTILINE)
    if found is None:
        raise NotThere(f"{module.name}/go.mod does not name {name}")
    return found.group(1)
