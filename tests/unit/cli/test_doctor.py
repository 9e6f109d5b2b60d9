"""`agent-actors doctor` on the embedded runtime, with the service running and without."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from agent_actors.engine.ports import free_port
from agent_actors.runtime.embedded import DATABASE
from tests.unit.cli.test_process import run, running

AWAY = "http://127.0.0.1:9"


def doctor(data: Path, **settings: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code; by check how it stands, and what was found."""
    given = {"AGENT_ACTORS_URL": AWAY} | settings
    done = run("doctor", "--json", "--data", str(data), **given)
    assert done.stderr == ""
    told = {each["check"]: (each["status"], each["found"]) for each in json.loads(done.stdout)}
    return done.returncode, told


def test_before_the_first_start_nothing_fails(tmp_path: Path):
    """What cannot be checked is skipped, and no file is created."""
    code, told = doctor(tmp_path / "data")

    assert code == 0
    assert {check: status for check, (status, _) in told.items()} == {
        "settings": "ok",
        "python": "ok",
        "limits": "ok",
        "access": "ok",
        "data": "ok",
        "components": "ok",
        "service": "skip",
        "actors": "skip",
        "secrets": "skip",
        "model": "ok",
        "clock": "skip",
    }
    assert not (tmp_path / "data").exists()


def test_a_running_service_is_not_disturbed(tmp_path: Path):
    """Doctor names the process that uses the data, and the service keeps working."""
    with running(tmp_path / "data") as service:
        code, told = doctor(tmp_path / "data", AGENT_ACTORS_URL=service.url)

        assert code == 0, told
        assert f"in use by process {service.process.pid}" in told["data"][1]
        assert told["service"] == ("ok", f"ready at {service.url}")
        assert told["actors"][0] == "ok"
        assert told["clock"][0] == "ok"
        assert "Got your message" in run("chat", "ada", "Hello", "--url", service.url).stdout


def test_a_broken_database_is_one_failure(tmp_path: Path):
    """The exit code is 1, and the file is unchanged."""
    (tmp_path / DATABASE).write_text("precious" * 1_000)
    code, told = doctor(tmp_path)

    assert code == 1
    assert [check for check, (status, _) in told.items() if status == "FAIL"] == ["data"]
    assert (tmp_path / DATABASE).read_text() == "precious" * 1_000


def test_a_data_folder_that_cannot_be_made_is_a_failure(tmp_path: Path):
    """There is a file in its place."""
    (tmp_path / "file").write_text("")
    code, told = doctor(tmp_path / "file" / "data")

    assert (code, told["data"][0]) == (1, "FAIL")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes wherever it likes")
def test_a_folder_that_cannot_be_written_is_a_failure(tmp_path: Path):
    """It is not this user's."""
    tmp_path.chmod(0o500)
    code, told = doctor(tmp_path)

    assert (code, told["data"]) == (1, ("FAIL", f"{tmp_path} is not writable"))


def test_a_broken_component_file_is_a_failure(tmp_path: Path):
    """The finding names it."""
    files = tmp_path / "files"
    files.mkdir()
    (files / "broken.yaml").write_text("kind: [")
    code, told = doctor(tmp_path / "data", AGENT_ACTORS_COMPONENTS=str(files))

    assert (code, told["components"][0]) == (1, "FAIL")
    assert "broken.yaml" in told["components"][1]


def test_the_lines_are_for_people(tmp_path: Path):
    """A line has status, check, finding and advice."""
    done = run("doctor", "--data", str(tmp_path), AGENT_ACTORS_MODLE="x", AGENT_ACTORS_URL=AWAY)
    first, second = done.stdout.splitlines()[:2]

    assert done.returncode == 0
    assert first == (
        "warn  settings   unknown setting AGENT_ACTORS_MODLE (did you mean AGENT_ACTORS_MODEL?)"
        " — correct the name (docs/settings.md lists them all), or remove it"
    )
    assert second.startswith("ok    python     Python 3.")


def test_a_setting_that_cannot_be_read_is_one_line(tmp_path: Path):
    """As with every other command, the exit code is 2."""
    done = run("doctor", "--data", str(tmp_path), AGENT_ACTORS_DRAIN="soon")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: AGENT_ACTORS_DRAIN: ")


def test_a_setting_that_cannot_be_read_is_a_report_for_machines():
    """`--json` prints a list whatever there is; the exit code is the same."""
    done = run("doctor", "--json", AGENT_ACTORS_DRAIN="soon")
    (told,) = json.loads(done.stdout)

    assert (done.returncode, done.stderr) == (2, "")
    assert (told["check"], told["status"]) == ("settings", "FAIL")
    assert told["found"].startswith("AGENT_ACTORS_DRAIN: ")
    assert told["advice"]


def test_a_service_on_another_port_is_missed(tmp_path: Path):
    """It uses the data, so it is running; the advice names the variable for its URL."""
    with running(tmp_path / "data"):
        code, told = doctor(tmp_path / "data")

    assert (code, told["service"][0]) == (0, "warn")
    assert AWAY in told["service"][1]


def test_its_help_names_the_variable():
    """`AGENT_ACTORS_URL` may replace `--url`."""
    assert "AGENT_ACTORS_URL" in run("doctor", "--help").stdout


def test_a_start_warns_of_a_misspelt_variable_once(tmp_path: Path):
    """It is ignored, with a warning."""
    with running(tmp_path / "data", AGENT_ACTORS_MODLE="scripted") as service:
        code, logged = service.end(15)

    assert code == 0
    assert (
        logged.count("unknown setting AGENT_ACTORS_MODLE (did you mean AGENT_ACTORS_MODEL?)") == 1
    )


def test_no_sidecar_is_needed_to_ask_about_dapr(tmp_path: Path):
    """The finding says what `dev` would start, or what is missing."""
    done = run("doctor", "--json", "--runtime", "dapr", AGENT_ACTORS_URL=AWAY)
    told = {each["check"]: each for each in json.loads(done.stdout)}

    assert "DAPR_HTTP_PORT is not set" in told["sidecar"]["found"]
    assert {told[each]["status"] for each in ("components", "actors")} == {"skip"}
    assert done.returncode == (1 if told["sidecar"]["status"] == "FAIL" else 0)


POD = {"AGENT_ACTORS_URL": AWAY, "KUBERNETES_SERVICE_HOST": "10.0.0.1"}


def test_a_pod_without_a_sidecar_is_a_failure():
    """The user need not know the container's command line."""
    done = run("doctor", "--json", **POD)
    told = {each["check"]: each for each in json.loads(done.stdout)}

    assert done.returncode == 1
    assert told["sidecar"]["found"] == "this pod has none: DAPR_HTTP_PORT is not set"


@pytest.mark.parametrize("embedded", ["--runtime=embedded", "--data=there"])
def test_a_pod_of_the_embedded_runtime_says_so(embedded: str):
    """By either option."""
    done = run("doctor", "--json", embedded, **POD)

    assert done.returncode == 0
    assert "data" in {each["check"] for each in json.loads(done.stdout)}


def test_an_impossible_port_is_a_finding():
    """The JSON list is complete."""
    done = run("doctor", "--json", "--runtime", "embedded", "--url", "http://localhost:99999")
    told = {each["check"]: each for each in json.loads(done.stdout)}

    assert (done.returncode, done.stderr) == (1, "")
    assert "not the URL of a service" in told["service"]["found"]
    assert "clock" in told


def test_another_program_cannot_forge_a_line():
    """Its text is quoted without control characters."""
    detail = "x\x1b[2J\r\nok    clock      all is fine"
    with answering({"detail": detail}) as url:
        done = run("doctor", "--runtime", "embedded", "--url", url)
    lines = done.stdout.splitlines()

    assert done.returncode == 1
    assert f"FAIL  service    not ready at {url}: x[2J ok clock all is fine — " in done.stdout
    assert "\x1b" not in done.stdout
    assert not any(each.startswith("ok    clock      all") for each in lines)


@contextmanager
def answering(told: dict[str, str]) -> Iterator[str]:
    """The address of a program that says it is not ready."""
    body = json.dumps(told).encode()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", free_port()), Answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
