"""`agent-actors doctor` on the embedded runtime, with the service running and without."""

import json
from pathlib import Path

import pytest

from tests.forked import run
from tests.unit.cli.test_process import running

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
        assert told["service"][0] == "ok"
        assert f"as process {service.process.pid}, runtime embedded" in told["service"][1]
        assert told["actors"][0] == "ok"
        assert told["clock"][0] == "ok"
        assert "Got your message" in run("chat", "ada", "Hello", "--url", service.url).stdout


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


def test_a_start_warns_of_a_misspelt_variable_once(tmp_path: Path):
    """It is ignored, with a warning."""
    with running(tmp_path / "data", AGENT_ACTORS_MODLE="scripted") as service:
        code, logged = service.end(15)

    assert code == 0
    assert (
        logged.count("unknown setting AGENT_ACTORS_MODLE (did you mean AGENT_ACTORS_MODEL?)") == 1
    )


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
