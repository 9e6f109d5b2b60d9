"""Switches off each mechanism of the protocol in a copy of the code: a test must notice.

    python tests/protocol/mutations.py [NAME …]

First the code as it is must survive; then two mutants at a time, each until its first violation.
The closing line is `N passed, M failed`; the exit code is 1 if a mutant survives, or if a mutation
no longer fits the code.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "agent_actors"
SECONDS = 240
"""What a mutant may live before it counts as survived."""
AT_ONCE = 2
sys.path.insert(0, str(ROOT))

from tests.protocol.mutant import Mutant  # noqa: E402
from tests.protocol.mutants import MUTANTS, NOT_APPLICABLE  # noqa: E402

CONTROL = Mutant("nothing_changed", "control", "__init__.py", ())
CONTROL_SECONDS = 20
"""The code as it is must survive this long, or no death says anything."""


@dataclass(frozen=True, slots=True)
class Death:
    """How a mutant ended."""

    mutant: Mutant
    killed: bool
    by: str
    seconds: float

    @property
    def row(self) -> str:
        """A line of the table."""
        mark = "killed  " if self.killed else "SURVIVED"
        name, row = self.mutant.name, self.mutant.row
        return f"{mark} {name:24} {row:10} {self.seconds:5.1f} s  {self.by[:100]}"


def mutate(mutant: Mutant, folder: Path) -> None:
    """Copies the code and changes it.

    Raises:
        ValueError: A text is not there exactly once: the list has drifted from the code.
    """
    copy = folder / "agent_actors"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    path = copy / mutant.file
    text = path.read_text(encoding="utf-8")
    for old, new in mutant.edits:
        if text.count(old) != 1:
            msg = f"{mutant.file} has {text.count(old)} times: {old.strip()}"
            raise ValueError(msg)
        text = text.replace(old, new)
    compile(text, str(path), "exec")
    path.write_text(text, encoding="utf-8")


def kill(mutant: Mutant, seconds: int = SECONDS) -> Death:
    """Lets the tests loose on a mutant."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            mutate(mutant, Path(folder))
        except ValueError as error:
            return Death(mutant, killed=False, by=f"does not fit: {error}", seconds=0)
        path = os.pathsep.join((folder, str(ROOT)))
        ended = subprocess.run(
            [sys.executable, str(ROOT / "tests" / "protocol" / "hunt.py"), str(seconds)],
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    lines = ended.stdout.splitlines()
    hunted = len(lines) == 2 and lines[0].startswith(folder)
    by = lines[1] if hunted else f"the hunt failed: {ended.stderr[-300:]}"
    return Death(mutant, hunted and ended.returncode == 1, by, time.monotonic() - began)


def main(names: Sequence[str]) -> int:
    """The command."""
    wanted = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    control = kill(CONTROL, CONTROL_SECONDS)
    if control.by != "nothing":
        _tell(f"the code itself does not survive: {control.by}")
        return 1
    failed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for death in pool.map(kill, wanted):
            failed += not death.killed
            _tell(death.row)
    for name, reason in NOT_APPLICABLE.items():
        _tell(f"none     {name:24} {reason}")
    _tell(f"{len(wanted) - failed} passed, {failed} failed")
    return int(failed > 0)


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
