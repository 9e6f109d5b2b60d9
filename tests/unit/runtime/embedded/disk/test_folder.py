import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent_actors.errors import StartupError
from agent_actors.runtime.embedded.disk.folder import DataFolder

HOLD = """
import sys
from pathlib import Path
from agent_actors.runtime.embedded.disk.folder import DataFolder
folder = DataFolder.take(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_folder_is_made_and_is_private(tmp_path: Path):
    """A data folder that is not there is made, with its parents, for its owner only."""
    folder = DataFolder.take(tmp_path / "a" / "b")

    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700

    folder.release()
    folder.release()


def test_a_folder_has_one_holder(tmp_path: Path):
    """A locked folder is refused to others until it is unlocked."""
    folder = DataFolder.take(tmp_path)
    with pytest.raises(StartupError, match=f"in use by process {os.getpid()}"):
        DataFolder.take(tmp_path)
    folder.release()
    DataFolder.take(tmp_path).release()


def test_a_killed_process_holds_nothing(tmp_path: Path):
    """After kill -9 of the holder, the folder can be taken at once."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        with pytest.raises(StartupError, match="in use"):
            DataFolder.take(tmp_path)

        holder.send_signal(signal.SIGKILL)
        holder.wait()
        DataFolder.take(tmp_path).release()


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path):
    """A path below a file cannot be a folder, and the error says so."""
    (tmp_path / "file").write_text("")

    with pytest.raises(StartupError, match="cannot be written"):
        DataFolder.take(tmp_path / "file" / "data")
