"""Several processes on one data folder, and a data folder that is taken away from its process.

Sources: Kludex/uvicorn #1115, #2440 and #2506 (workers that die at their start and are started
again for ever), epoz/shmarql #21 (a store that only one worker can open).
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent_actors.engine.ports import free_port
from tests.conftest import Serve
from tests.e2e.service import environment
from tests.forked import run
from tests.unit.cli.test_process import running

HELLO = {"role": "user", "content": "Hello"}
YOURS = "from agent_actors import create_app\n\napp = create_app()\n"


def uvicorn(folder: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Uvicorn on an app of one's own, until it ends by itself."""
    (folder / "yours.py").write_text(YOURS)
    command = [sys.executable, "-m", "uvicorn", "yours:app", "--port", str(free_port()), *options]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment(**variables),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            _, logged = process.communicate(timeout=90)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, process.returncode, "", logged)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "one process uses a data folder"),
        ({"AGENT_ACTORS_DATA": "/proc/nowhere"}, "cannot be written"),
    ],
    ids=["workers", "folder"],
)
def test_workers_that_cannot_start_are_not_started_again(
    tmp_path: Path, variables: dict[str, str], words: str
):
    """Each says why in one line, and uvicorn stops instead of starting it again for ever."""
    done = uvicorn(tmp_path, "--workers", "2", **variables)

    assert "failed to start, stopping the parent process" in done.stderr
    assert "Traceback" not in done.stderr
    assert any(words in line for line in done.stderr.splitlines())
    if not variables:
        assert "docs/dapr.md" in done.stderr


def test_a_second_process_is_told_who_is_the_first(tmp_path: Path):
    """Somebody who runs no workers is told to stop that one, or to use another folder."""
    with running(tmp_path / "data") as service:
        done = run("dev", "--port", "0", "--data", str(tmp_path / "data"))

    assert done.returncode == 2
    assert f"in use by process {service.process.pid}; stop it" in done.stderr
    assert "workers" not in done.stderr


def removed(data: Path) -> None:
    shutil.rmtree(data)


def moved(data: Path) -> None:
    data.rename(data.with_name("elsewhere"))


def replaced(data: Path) -> None:
    moved(data)
    shutil.copytree(data.with_name("elsewhere"), data)


def unlocked(data: Path) -> None:
    (data / "lock").unlink()


def another_database(data: Path) -> None:
    file = data / "agent-actors.db"
    copy = file.with_name("copy")
    shutil.copy(file, copy)
    copy.replace(file)


@pytest.mark.parametrize("taken", [removed, moved, replaced, unlocked, another_database])
async def test_a_folder_that_is_taken_away_saves_nothing(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, taken: Callable[[Path], None]
):
    """503 instead of an answer that is lost with the process, and one line in the log."""
    async with serve(model=None) as app:
        before = await app.http.post("/chat/ada", json=HELLO)
        taken(tmp_path / "data")
        after = [await app.http.post("/chat/ada", json=HELLO) for _ in range(2)]
        ready = await app.http.get("/readyz")

    assert before.status_code == 200
    assert {answer.status_code for answer in after} == {503}
    assert ready.status_code == 503
    assert "was removed or replaced" in ready.json()["detail"]
    assert sum("nothing is saved" in line for line in caplog.text.splitlines()) == 1


async def test_a_folder_that_stays_is_used(serve: Serve, tmp_path: Path):
    """Other files may come and go in it."""
    async with serve() as app:
        (tmp_path / "data" / "note").write_text("mine")
        (tmp_path / "data" / "note").unlink()

        assert (await app.http.post("/chat/ada", json=HELLO)).status_code == 200
        assert (await app.http.get("/readyz")).status_code == 200
