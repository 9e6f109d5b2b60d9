"""The table that a benchmark prints, and where it was measured."""

import os
import platform
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from importlib.metadata import version
from pathlib import Path

from agent_actors import __version__
from agent_actors.engine import binaries
from agent_actors.errors import StartupError

PARTS = ("fastapi", "uvicorn", "uvloop", "pydantic", "dapr")


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement: its name, the values, the ratio and what it compares, and the target."""

    what: str
    measured: str
    ratio: str
    target: str


HEADING = Row("what", "measured", "ratio", "target")


def render(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, readable as it stands."""
    cells = [astuple(row) for row in (HEADING, *rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |"
        for line in cells
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def machine() -> str:
    """The machine and the versions that were measured."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    parts = ", ".join(f"{name} {version(name)}" for name in PARTS)
    return (
        f"{_processor()}, {os.cpu_count()} CPUs, load before the run {load}\n"
        f"{platform.system()} {platform.release()}, Python {platform.python_version()},"
        f" SQLite {sqlite3.sqlite_version}\n"
        f"agent-actors {__version__}, {parts}\n"
        f"{_servers()}"
    )


def _servers() -> str:
    """The versions of Dapr and Redis, if they are installed."""
    try:
        found = binaries.find()
    except StartupError:
        return "no Dapr"
    printed = subprocess.run([found.redis, "--version"], capture_output=True, text=True, check=True)
    words = printed.stdout.split()  # As in "Valkey server v=9.1.2 sha=…".
    return f"daprd {binaries.version(found.daprd)}, {words[0]} {words[2].removeprefix('v=')}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
