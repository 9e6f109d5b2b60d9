"""The command as a process: how it starts, how it refuses to, and how it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

import httpx2
import pytest

from agent_actors.cli.service import _announce
from agent_actors.settings import Settings
from tests.e2e.service import command
from tests.fakes import QuickModel
from tests.forked import TIME, Forked, forked, run


@dataclass
class Running:
    """A service that has printed where it serves."""

    process: Forked
    printed: list[str]

    @property
    def url(self) -> str:
        return re.findall(r"http://\S+", self.printed[3])[0]

    def end(self, number: int) -> tuple[int | None, str]:
        """The exit code after a signal, and what was logged."""
        self.process.send_signal(number)
        _, logged = self.process.communicate()
        return self.process.returncode, logged


@contextmanager
def running(data: Path, *options: str, **settings: str) -> Iterator[Running]:
    with forked("dev", "--port", "0", "--data", str(data), *options, **settings) as process:
        yield Running(process, [process.stdout.readline() for _ in range(7)])


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a start was refused with."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_it_says_where_it_is_and_what_to_try(tmp_path: Path):
    """The start prints model, data, API, docs and a curl command, with the actual port."""
    with running(tmp_path / "data") as service:
        serving, model, stored, api, docs, curl, chat = service.printed
        port = httpx2.URL(service.url).port

        assert port
        assert serving == (
            f"Serving on the embedded runtime as process {service.process.pid}."
            " Press Ctrl-C to stop.\n"
        )
        assert model.startswith("  Model  echo")
        assert stored == (
            f"  Data   Conversations are stored in {tmp_path / 'data'};"
            " to start over, stop and delete it.\n"
        )
        assert api == f"  API    http://127.0.0.1:{port}\n"
        assert docs == f"  Docs   http://127.0.0.1:{port}/docs\n"
        assert curl.endswith(
            f"curl -s 127.0.0.1:{port}/chat/ada -H 'content-type: application/json'"
            """ -d '{"role":"user","content":"Hello"}'\n"""
        )
        assert chat == f"  Chat   agent-actors chat ada --url {service.url}\n"
        assert httpx2.get(f"{service.url}/docs").status_code == 200


@pytest.mark.parametrize(
    ("host", "port", "options"),
    [
        ("127.0.0.1", 8000, ""),
        ("127.0.0.1", 8001, " --url http://127.0.0.1:8001"),
        ("0.0.0.0", 8000, ""),
        ("0.0.0.0", 9, " --url http://127.0.0.1:9"),
        ("::1", 8000, " --url http://[::1]:8000"),
        ("10.0.0.5", 8000, " --url http://10.0.0.5:8000"),
    ],
)
def test_the_line_for_a_chat_finds_the_service(
    capsys: pytest.CaptureFixture[str], host: str, port: int, options: str
):
    """It names the address only where the command would look elsewhere."""

    class Listening:
        def getsockname(self) -> tuple[str, int]:
            return host, port

    _announce(Listening(), "embedded", Settings(hosts="*"), QuickModel())  # type: ignore[arg-type]

    assert capsys.readouterr().out.splitlines()[-1] == f"  Chat   agent-actors chat ada{options}"


def test_a_backup_is_a_service_to_start_on(tmp_path: Path):
    """A copy put into an empty data folder has the conversation."""
    with running(tmp_path / "data") as service:
        run("chat", "ada", "Hello", "--url", service.url)
        (tmp_path / "other").mkdir()
        copy = tmp_path / "other" / "agent-actors.db"
        run("backup", str(copy), "--data", str(tmp_path / "data"))

    with running(tmp_path / "other") as service:
        assert "user: Hello" in run("history", "ada", "--url", service.url).stdout


def test_ctrl_c_while_python_imports_leaves_no_trace(tmp_path: Path):
    """The exit code is that of every interrupted command, before there is one."""
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = command("history", "ada", PYTHONPATH=path)

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(tmp_path: Path, number: int):
    """SIGTERM and SIGINT end it with exit code 0 and without a traceback."""
    with running(tmp_path / "data") as service:
        code, logged = service.end(number)

    assert code == 0, logged
    assert "Traceback" not in logged


def test_a_caller_that_waits_at_shutdown_may_retry(tmp_path: Path):
    """A turn that exceeds the drain time is not a 500: its caller may retry."""
    body = {"role": "user", "content": "/hang"}
    with running(tmp_path / "data", "--drain", "0.5", AGENT_ACTORS_MODEL="scripted") as service:
        stop = Timer(1.0, service.process.terminate)
        stop.start()
        answer = httpx2.post(f"{service.url}/chat/ada", json=body, timeout=TIME)
        _, logged = service.process.communicate()

    assert answer.status_code in {202, 503}
    assert service.process.returncode == 0
    assert "Traceback" not in logged


def test_a_port_in_use_is_one_line(tmp_path: Path):
    """The error names the port, and no data folder is created."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = refused(run("dev", "--port", port, "--data", str(tmp_path / "data")))

    assert line == (
        f"Error: Cannot serve on 127.0.0.1, port {port}: Address already in use;"
        " --port 0 picks a free port."
    )
    assert not (tmp_path / "data").exists()


def test_an_invalid_database_is_one_line(tmp_path: Path):
    """A file that is not a database is refused, and unchanged."""
    database = tmp_path / "agent-actors.db"
    database.write_text("precious")
    line = refused(run("dev", "--port", "0", "--data", str(tmp_path)))

    assert "not a database" in line
    assert database.read_text() == "precious"


@pytest.mark.parametrize(
    ("command", "settings", "words"),
    [
        ("dev --data {}/file/data", {}, "cannot be written"),
        ("serve --runtime dapr", {}, "DAPR_HTTP_PORT"),
        ("serve", {"DAPR_HTTP_PORT": "http"}, "Error: DAPR_HTTP_PORT: "),
        (
            "serve",
            {"DAPR_HTTP_PORT": "3500", "AGENT_ACTORS_REQUIRE_TOKEN": "1"},
            "APP_API_TOKEN",
        ),
    ],
    ids=["a file as data folder", "no sidecar", "a bad port of Dapr's", "no required token"],
)
def test_a_start_that_cannot_succeed_is_refused_in_one_line(
    tmp_path: Path, command: str, settings: dict[str, str], words: str
):
    """The error names what is missing; Dapr's variables have no prefix of ours."""
    (tmp_path / "file").write_text("")
    line = refused(run(*command.format(tmp_path).split(), "--port", "0", **settings))

    assert words in line
