"""From the start of the process to its first answered turn."""

import time
from collections.abc import Iterator
from statistics import median

from bench.process import running, service
from bench.table import Row

IMPORTS = "import agent_actors.cli.service, agent_actors.runtime.embedded"


def measure(quick: bool) -> Iterator[Row]:
    """Starts of the service and, in turn, of a process that only imports it."""
    pairs = [(_start(), _python(IMPORTS)) for _ in range(3 if quick else 5)]
    whole, imports = (median(each) for each in zip(*pairs, strict=True))
    share = median(b / a for a, b in pairs)
    yield Row(
        "start to first answered turn",
        f"{whole:.2f} s, imports alone {imports:.2f} s",
        f"{share:.2f} of it is imports",
        "≤ 2.5 s",
    )


def _start() -> float:
    with service() as ours:
        return ours.started


def _python(code: str) -> float:
    began = time.perf_counter()
    with running(["-c", code]) as process:
        process.wait()
    return time.perf_counter() - began
