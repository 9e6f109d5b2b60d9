"""The commands as they are called, without a process of their own."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agent_actors.cli import main, service
from agent_actors.cli.failures import CommandFailed
from agent_actors.engine.ports import free_port
from agent_actors.runtime.embedded.disk.folder import DataFolder
from agent_actors.runtime.embedded.disk.schema import open_writer


class Spoken:
    """A client that answers from memory."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __enter__(self) -> "Spoken":
        return self

    def __exit__(self, *_: object) -> None: ...

    def say(self, actor_id: str, text: str) -> str:
        if text == "fail":
            raise CommandFailed("The model failed: Try again.")
        return f"{actor_id} heard {text}"

    def history(self, actor_id: str) -> list[dict[str, str]]:
        reply = {"role": "assistant", "content": f"I am {actor_id}\nover two lines"}
        return [{"role": "user", "content": "Hello"}, reply]

    def notifications(self, actor_id: str) -> list[dict[str, str]]:
        told = {"at": "2026-01-01T12:00:00Z", "conversation": "s1", "turn_id": "t", "to": "123"}
        statuses = ["over the limit", "sent"] if actor_id == "ada" else []
        return [told | {"status": status} for status in statuses]

    def dead(self) -> list[dict[str, Any]]:
        letter = {"id": "7", "at": "2024-01-05T10:00:00Z", "topic": "user-chat", "tries": 5}
        return [letter | {"reason": "it names no user", "event": {}}]

    def requeue(self, letter_id: str) -> None: ...


@pytest.fixture(autouse=True)
def no_sidecar(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on the environment it was started in."""
    for name in ("DAPR_HTTP_PORT", "AGENT_ACTORS_URL", "AGENT_ACTORS_DATA", "APP_API_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent_actors.cli.client.Client", Spoken)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What would have been served, instead of serving it."""
    calls: list[tuple[Any, ...]] = []

    def serve(settings: Any, kind: str, sock: Any, own: str | None = None) -> None:
        with sock:
            calls.append((settings, kind, sock.getsockname()))

    def with_local_dapr(run: Any, settings: Any, sock: Any) -> None:
        with sock:
            calls.append((settings, "dapr of its own", sock.getsockname()))

    monkeypatch.setattr(service, "serve", serve)
    monkeypatch.setattr(service, "with_local_dapr", with_local_dapr)
    return calls


def call(*arguments: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=typed)


def refused(result: Result, code: int) -> str:
    """The one line that a command failed with."""
    assert result.exit_code == code
    (line,) = result.stderr.splitlines()
    return line


def test_the_version_is_printed():
    """`--version` prints the program and its version."""
    assert call("--version").output.split()[-1].count(".") == 2


@pytest.mark.usefixtures("spoken")
def test_one_message_gets_its_reply():
    """`chat ID MESSAGE` prints the reply and nothing else."""
    result = call("chat", "ada", "Hello")

    assert (result.exit_code, result.stdout) == (0, "ada heard Hello\n")


@pytest.mark.usefixtures("spoken")
def test_a_conversation_ends_with_its_input():
    """`chat ID` answers line by line, skips blank ones, and ends at the end of the input."""
    result = call("chat", "ada", typed="one\n\n  \ntwo\n")

    assert (result.exit_code, result.stdout) == (0, "ada heard one\nada heard two\n")


@pytest.mark.usefixtures("spoken")
def test_a_conversation_outlives_a_failure():
    """The error is printed, the next message is sent, and the exit code of a script is 1."""
    result = call("chat", "ada", typed="fail\ntwo\n")

    assert result.exit_code == 1
    assert result.stdout == "ada heard two\n"
    assert "The model failed" in result.stderr


@pytest.mark.usefixtures("spoken")
def test_history_prints_roles_and_texts():
    """`history ID` prints a role before each text."""
    assert call("history", "ada").stdout == "user: Hello\nassistant: I am ada\nover two lines\n"


@pytest.mark.usefixtures("spoken")
def test_each_notification_is_a_line():
    """The order is the service's, newest first; that there is none is said."""
    assert call("notifications", "ada").stdout.splitlines() == [
        "2026-01-01T12:00:00Z  over the limit  s1  t  …123",
        "2026-01-01T12:00:00Z  sent  s1  t  …123",
    ]
    nobody = call("notifications", "bob")
    assert (nobody.exit_code, nobody.stdout, nobody.stderr) == (0, "", "No notifications.\n")


@pytest.mark.usefixtures("spoken")
def test_dead_events_are_one_line_each():
    """`events dead` prints the id first, to be given to `events requeue`."""
    line = "7  2024-01-05T10:00:00Z  user-chat  tries=5  it names no user\n"

    assert call("events", "dead").stdout == line
    assert call("events", "requeue", "7").stdout == "Delivered 7.\n"


@pytest.mark.parametrize(
    "arguments", [("history", "ada"), ("events", "dead"), ("events", "requeue", "7")]
)
def test_no_service_is_one_line(arguments: tuple[str, ...]):
    """The error says how to start the service."""
    line = refused(call(*arguments, "--url", f"http://127.0.0.1:{free_port()}"), 1)

    assert "No service answers" in line
    assert "agent-actors dev" in line


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--help",), "agent_actors.cli.main.get_help"),
        (("chat", "ada", "Hello"), "agent_actors.cli.client.Client"),
        (("history", "ada"), "agent_actors.cli.client.Client"),
        (("notifications", "ada"), "agent_actors.cli.client.Client"),
        (("events", "dead"), "agent_actors.cli.client.Client"),
        (("events", "requeue", "7"), "agent_actors.cli.client.Client"),
        (("doctor",), "agent_actors.settings.read"),
        (("backup", "copy.db"), "agent_actors.cli.snapshot.take"),
        (("restore", "copy.db"), "agent_actors.cli.restoration.restore"),
        (("dev", "--port", "0"), "agent_actors.cli.service.listen"),
        (("serve", "--port", "0"), "agent_actors.cli.service.listen"),
    ],
    ids=lambda given: given[0] if isinstance(given, tuple) else None,
)
def test_ctrl_c_ends_every_command(
    arguments: tuple[str, ...], what: str, monkeypatch: pytest.MonkeyPatch
):
    """The exit code is 130, and nothing is printed but a newline."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(what, interrupted)
    result = call(*arguments)

    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "\n")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
@pytest.mark.parametrize("command", ["dev", "serve"])
def test_other_machines_are_not_served_unasked(command: str, host: str):
    """A host that others can reach needs `--insecure`."""
    line = refused(call(command, "--host", host), 2)

    assert "--insecure" in line


def test_insecure_serves_others(started: list[tuple[Any, ...]]):
    """`--insecure` lets a host be one that others can reach."""
    result = call("dev", "--host", "0.0.0.0", "--insecure", "--port", "0")

    assert result.exit_code == 0
    assert started[0][2][0] == "0.0.0.0"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ACCESS_TOKENS", '[{"token": "0123456789abcdef", "subject": "ada"}]'),
        ("ACCESS", "required"),
        ("ACCESS", "off"),
        ("JWT_ISSUER", "https://issuer.example"),
    ],
)
def test_other_machines_are_served_with_tokens(
    name: str, value: str, started: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
):
    """They need a token, or a setting says that they need none."""
    monkeypatch.setenv(f"AGENT_ACTORS_{name}", value)

    assert call("serve", "--host", "0.0.0.0", "--port", "0").exit_code == 0
    assert started[0][2][0] == "0.0.0.0"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_this_machine_is_served(host: str, started: list[tuple[Any, ...]]):
    """Any loopback host needs no token."""
    assert call("dev", "--host", host, "--port", "0").exit_code == 0
    assert started[0][2][1] > 0


def test_options_come_before_the_environment(
    started: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
):
    """The command line takes precedence over the environment."""
    monkeypatch.setenv("AGENT_ACTORS_DATA", "there")
    monkeypatch.setenv("AGENT_ACTORS_DRAIN", "3")
    call("dev", "--data", "here", "--port", "0")

    settings = started[0][0]
    assert (settings.data, settings.drain) == (Path("here"), 3.0)


@pytest.mark.parametrize(
    ("sidecar", "option", "kind"),
    [
        (None, [], "embedded"),
        ("3500", [], "dapr"),
        ("3500", ["--runtime", "embedded"], "embedded"),
        (None, ["--runtime", "dapr"], "dapr"),
    ],
)
@pytest.mark.parametrize("command", ["dev", "serve"])
def test_the_runtime_is_chosen(
    command: str,
    sidecar: str | None,
    option: list[str],
    kind: str,
    started: list[tuple[Any, ...]],
    monkeypatch: pytest.MonkeyPatch,
):
    """`--runtime` decides, else whether there is a sidecar; `dev` starts one if needed."""
    if sidecar:
        monkeypatch.setenv("DAPR_HTTP_PORT", sidecar)
    elif (command, kind) == ("dev", "dapr"):
        kind = "dapr of its own"
    call(command, "--port", "0", *option)

    assert started[0][1] == kind


def test_a_wrong_setting_is_one_line(monkeypatch: pytest.MonkeyPatch):
    """The error names the setting."""
    monkeypatch.setenv("AGENT_ACTORS_DRAIN", "soon")

    assert "AGENT_ACTORS_DRAIN" in refused(call("dev", "--port", "0"), 2)


def test_an_unknown_host_is_one_line():
    """A host that cannot be resolved is an error of the command line."""
    line = refused(call("dev", "--host", "no host", "--insecure", "--port", "0"), 2)

    assert "Cannot serve on no host" in line


def test_a_backup_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`backup FILE` copies the database of the data folder."""
    with closing(sqlite3.connect(tmp_path / "agent-actors.db")) as connection:
        connection.execute("CREATE TABLE said (text)")
    monkeypatch.setenv("AGENT_ACTORS_DATA", str(tmp_path))
    file = tmp_path / "copy.db"

    assert call("backup", str(file)).exit_code == 0
    assert file.is_file()
    assert "--force" in refused(call("backup", str(file)), 1)
    assert call("backup", str(file), "--force", "--data", str(tmp_path)).exit_code == 0


def test_a_backup_of_the_database_to_itself_is_refused(tmp_path: Path):
    """With `--force`, it would take the place of the database of a running service."""
    database = tmp_path / "agent-actors.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE said (text)")
    before = database.stat().st_ino
    call_it = ("backup", str(database), "--force", "--data", str(tmp_path))

    assert "is the database itself" in refused(call(*call_it), 1)
    assert database.stat().st_ino == before


def test_a_backup_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`restore FILE` says what it has replaced, and under which name that is kept."""
    monkeypatch.setenv("AGENT_ACTORS_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    file = tmp_path / "copy.db"
    open_writer(tmp_path / "data" / "agent-actors.db", "FULL").close()
    assert call("backup", str(file)).exit_code == 0
    first = call("restore", str(file), "--data", str(tmp_path / "fresh"))
    again = call("restore", str(file))

    assert (first.exit_code, first.stdout) == (
        0,
        f"Restored {file} to {tmp_path / 'fresh' / 'agent-actors.db'}.\n",
    )
    (kept,) = (tmp_path / "data").glob("agent-actors-*")
    assert (again.exit_code, again.stdout) == (
        0,
        f"Restored {file} to {tmp_path / 'data' / 'agent-actors.db'}.\n"
        f"What was there is kept as {kept}.\n",
    )


def test_what_cannot_be_restored_is_one_line(tmp_path: Path):
    """A file that is no backup fails the command; a folder in use is refused as by a start."""
    (tmp_path / "text").write_text("precious")
    database = tmp_path / "agent-actors.db"
    open_writer(database, "FULL").close()

    assert "text cannot be restored" in refused(
        call("restore", str(tmp_path / "text"), "--data", str(tmp_path)), 1
    )
    assert call("backup", str(tmp_path / "copy.db"), "--data", str(tmp_path)).exit_code == 0
    folder = DataFolder.take(tmp_path)
    try:
        line = refused(call("restore", str(tmp_path / "copy.db"), "--data", str(tmp_path)), 2)
    finally:
        folder.release()
    assert "is in use by process" in line
