"""`uvicorn yours:app`: what a start says that fails, and what the log says of one that does not.

Sources: Kludex/starlette #486 and #177 (an error at the start that nobody sees, then a traceback of
thirty lines), Kludex/uvicorn #1115 (workers that are started again for ever) and #780 (exit code 0
after a failed start), eLifePathways/sciencebeam-parser #573 (lines that no handler shows).
"""

import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.types import Message

from agent_actors import Settings, create_app
from agent_actors.engine.ports import free_port
from agent_actors.errors import StartupError
from agent_actors.observability import logs
from agent_actors.routes.edge.startup import FAILED, explained
from tests.e2e.service import environment
from tests.fakes import eventually
from tests.unit.cli.test_process import running

YOURS = "from agent_actors import create_app\n\napp = create_app()\n"
SOCKS = {"OPENAI_API_KEY": "o", "ALL_PROXY": "socks://127.0.0.1:9/"}


def command(folder: Path, *options: str, code: str = YOURS) -> list[str]:
    (folder / "yours.py").write_text(code)
    return [sys.executable, "-m", "uvicorn", "yours:app", *options]


def refused(folder: Path, *options: str, **variables: str) -> tuple[int, list[str]]:
    """The exit code of a start that fails, and what it has written."""
    done = subprocess.run(
        command(folder, "--port", str(free_port()), *options),
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AGENT_ACTORS_DRAIN": "soon"}, "AGENT_ACTORS_DRAIN: "),
        ({"AGENT_ACTORS_MODEL": "claude-x"}, "AGENT_ACTORS_MODEL is 'claude-x'"),
        ({"AGENT_ACTORS_DATA": "/proc/nowhere"}, "The data folder '/proc/nowhere'"),
        ({"AGENT_ACTORS_COMPONENTS": "/nowhere"}, "AGENT_ACTORS_COMPONENTS: there is no folder"),
        (SOCKS, "ALL_PROXY has a scheme"),
        ({"SSLKEYLOGFILE": "/nowhere/keys"}, "SSLKEYLOGFILE names a file"),
    ],
    ids=lambda each: next(iter(each)) if isinstance(each, dict) else "",
)
def test_what_stops_an_import_is_one_line(tmp_path: Path, variables: dict[str, str], words: str):
    """The exit code is that of a start of uvicorn that has failed."""
    code, lines = refused(tmp_path, **variables)

    assert (code, len(lines)) == (FAILED, 1), lines
    assert lines[0].startswith(words)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AGENT_ACTORS_ACTOR_TYPES": '{"Nobody": {}}'}, "there is no actor type 'Nobody'"),
        ({"AGENT_ACTORS_ACTOR_TYPES": '{"NotificationActor": {}}'}, "'NotificationActor'"),
        ({"AGENT_ACTORS_ACTOR_TYPES": '{"DeadLetterActor": {}}'}, "'DeadLetterActor'"),
    ],
)
def test_what_stops_a_start_is_one_line(tmp_path: Path, variables: dict[str, str], words: str):
    """Among those of uvicorn; it ends by itself."""
    code, lines = refused(tmp_path, **variables)

    assert code == FAILED
    assert [words in line for line in lines].count(True) == 1
    assert not any("Traceback" in line or line.startswith(" ") for line in lines), lines


def test_a_folder_in_use_is_one_line(tmp_path: Path):
    """It names the process that uses it."""
    with running(tmp_path / "data") as service:
        code, lines = refused(tmp_path, AGENT_ACTORS_DATA=str(tmp_path / "data"))

    assert (code, len(lines)) == (FAILED, 1), lines
    assert f"in use by process {service.process.pid}" in lines[0]


@contextmanager
def served(folder: Path, *options: str, code: str = YOURS, **variables: str) -> Iterator[Any]:
    """Uvicorn with an app of one's own: its URL, and then what it has logged."""
    port, log = free_port(), folder / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command(folder, "--port", str(port), *options, code=code),
            cwd=folder,
            env=environment(**variables),
            stdout=file,
            stderr=file,
        )
    try:
        yield f"http://127.0.0.1:{port}", log.read_text
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        finally:
            process.kill()
            process.wait()


async def said(url: str, path: str = "/chat/ada") -> httpx2.Response:
    async with httpx2.AsyncClient(trust_env=False, timeout=30) as http:

        async def ready() -> bool:
            try:
                return (await http.get(f"{url}/readyz")).status_code == 200
            except httpx2.ConnectError:
                return False

        await eventually(ready, within=60)
        return await http.post(url + path, json={"role": "user", "content": "Hello"})


async def test_the_log_is_that_of_the_command(tmp_path: Path):
    """A misspelt setting is a warning, once, and a turn is a line."""
    with served(tmp_path, AGENT_ACTORS_MODLE="x", AGENT_ACTORS_DATA="data") as (url, log):
        assert (await said(url)).status_code == 200
    lines = log().splitlines()

    warnings = [line for line in lines if "AGENT_ACTORS_MODLE" in line]
    assert len(warnings) == 1
    assert "WARNING agent_actors.app: unknown setting" in warnings[0]
    assert any("INFO agent_actors" in line and "ada" in line for line in lines), lines


async def test_the_log_of_an_outer_app_is_left_alone(tmp_path: Path):
    """Its own form and level count, and no line comes twice."""
    code = (
        "import logging\nlogging.basicConfig(format='MINE %(name)s %(message)s', level='WARNING')\n"
    )
    with served(tmp_path, code=code + YOURS, AGENT_ACTORS_MODLE="x", AGENT_ACTORS_DATA="data") as (
        url,
        log,
    ):
        assert (await said(url)).status_code == 200
    lines = log().splitlines()

    assert [line for line in lines if "AGENT_ACTORS_MODLE" in line] == [
        "MINE agent_actors.app unknown setting AGENT_ACTORS_MODLE (did you mean"
        " AGENT_ACTORS_MODEL?); docs/settings.md lists them all"
    ]
    assert not any(line.startswith("20") for line in lines)


async def test_the_log_in_json_is_in_json(tmp_path: Path):
    """The settings of the log count there, too."""
    given = {"AGENT_ACTORS_LOG_FORMAT": "json", "AGENT_ACTORS_DATA": "data"}
    with served(tmp_path, **given) as (url, log):
        assert (await said(url)).status_code == 200

    assert any(line.startswith('{"time": ') and '"ada"' in line for line in log().splitlines())


@contextmanager
def no_handlers() -> Iterator[None]:
    """Logging as a process begins with it; pytest adds its own to the root for each test."""
    root, ours = logging.getLogger(), logging.getLogger("agent_actors")
    before = root.handlers[:], ours.handlers[:], ours.level
    root.handlers.clear()
    ours.handlers.clear()
    try:
        yield
    finally:
        root.handlers[:], ours.handlers[:] = before[:2]
        ours.setLevel(before[2])


@pytest.mark.parametrize("whose", ["", "agent_actors"], ids=["root", "ours"])
def test_whoever_sets_up_logging_later_counts(whose: str):
    """A line is written once, before and afterwards."""
    silent, theirs = io.StringIO(), io.StringIO()
    log = logging.getLogger("agent_actors.part")
    with no_handlers():
        with logs.unless_set_up("text", "INFO", silent):
            log.info("first")
            if not whose:
                logging.getLogger().addHandler(logging.StreamHandler(theirs))
                log.info("second")
        before = silent.getvalue()
        logging.getLogger(whose).addHandler(logging.StreamHandler(theirs))
        with logs.unless_set_up("text", "INFO", silent):
            log.warning("third")

    assert before.count("first") == 1
    assert "second" not in before
    assert silent.getvalue() == before
    assert "third" in theirs.getvalue()


def test_a_stop_puts_logging_back():
    """Nothing of ours is left."""
    ours = logging.getLogger("agent_actors")
    with no_handlers():
        before = ours.level
        with logs.unless_set_up("text", "DEBUG", io.StringIO()):
            assert ours.level == logging.DEBUG

        assert (ours.handlers, ours.level) == ([], before)


@pytest.mark.parametrize(
    "program",
    [
        "/usr/bin/uvicorn",
        "/usr/lib/python3/uvicorn/__main__.py",
        "hypercorn",
        "/opt/bin/gunicorn",
        "C:/Scripts/uvicorn.exe",
    ],
)
def test_a_server_is_ended_with_the_code_of_a_failed_start(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, program: str
):
    """It gets no traceback to print."""
    monkeypatch.setattr(sys, "argv", [program, "yours:app"])
    monkeypatch.setenv("AGENT_ACTORS_DRAIN", "soon")
    with pytest.raises(SystemExit) as ended:
        create_app()

    assert ended.value.code == FAILED
    assert "AGENT_ACTORS_DRAIN" in caplog.text


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [""],
        ["-c"],
        ["yours.py"],
        ["/usr/bin/pytest"],
        ["/usr/bin/agent-actors"],
        ["agent_actors/__main__.py"],
    ],
    ids=str,
)
def test_elsewhere_the_error_is_raised(monkeypatch: pytest.MonkeyPatch, arguments: list[str]):
    """A program may catch it, and our own command shows it."""
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setenv("AGENT_ACTORS_DRAIN", "soon")
    with pytest.raises(StartupError, match="AGENT_ACTORS_DRAIN"):
        create_app()


def test_other_errors_keep_their_place(monkeypatch: pytest.MonkeyPatch):
    """A mistake in the code needs its line."""
    monkeypatch.setattr(sys, "argv", ["uvicorn"])
    with pytest.raises(TypeError), explained():
        create_app(tools=[print])  # type: ignore[list-item]


async def messages(app: FastAPI) -> list[Message]:
    """What a server is sent for the start of an app that fails."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(Exception, match=r"Nobody|defect"):
        await app({"type": "lifespan", "asgi": {}, "state": {}}, receive, send)
    return sent


@pytest.mark.usefixtures("fresh_registry")
async def test_a_defect_at_the_start_keeps_its_traceback(tmp_path: Path):
    """Only a text that says what to do stands for itself."""
    settings = Settings(data=tmp_path, actor_types={"Nobody": {}}, drain=0.1)
    (wrong,) = await messages(create_app(settings))
    assert "Traceback" not in wrong["message"]
    assert wrong["message"].startswith("AGENT_ACTORS_ACTOR_TYPES")

    app = create_app(Settings(data=tmp_path / "other"))

    @asynccontextmanager
    async def broken(_: Any) -> Any:
        raise RuntimeError("defect")
        yield

    app.router.lifespan_context = broken
    (failed,) = await messages(app)
    assert "Traceback" in failed["message"]
    assert os.path.basename(__file__) in failed["message"]
