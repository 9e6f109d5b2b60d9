"""`agent-actors dev --app yours:app`: an app of one's own with what the command does.

Each row is a name as somebody writes it. Source: Kludex/uvicorn #1115 (a start that fails is
not told), and a newcomer to this project.
"""

from pathlib import Path

import pytest

from agent_actors.engine.child import Child
from agent_actors.engine.ports import free_port, status
from tests.e2e.service import COMMAND
from tests.e2e.service import command as new_process
from tests.fakes import eventually
from tests.forked import run
from tests.unit.cli.test_process import Running, refused, running

YOURS = """
from agent_actors import Settings, create_app
from agent_actors.model import Model
from agent_actors.protocol.messages import Reply

class Parrot(Model):
    async def reply(self, prompt):
        return Reply("Polly says " + prompt.message.content, model="parrot")

def make():
    return create_app(model=Parrot())

{line}
"""


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder in which the commands run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def yours(here: Path, line: str = "app = make()") -> None:
    (here / "yours.py").write_text(YOURS.format(line=line))


def said(service: Running) -> str:
    return run("chat", "ada", "Hello", "--url", service.url).stdout


@pytest.mark.parametrize("name", ["yours:app", "yours"])
def test_an_own_app_is_served_as_the_default_one(here: Path, name: str):
    """With the folder of the option, the banner, and a warning of a misspelt setting."""
    yours(here)
    with running(here / "data", "--app", name, AGENT_ACTORS_MODLE="x") as service:
        answer = said(service)
        code, logged = service.end(15)

    assert answer == "Polly says Hello\n"
    assert (here / "data" / "agent-actors.db").exists()
    assert not (here / ".agent-actors").exists()
    assert "Press Ctrl-C to stop" in service.printed[0]
    assert service.printed[1] == "  Model  Parrot\n"
    assert (code, "AGENT_ACTORS_MODLE" in logged) == (0, True)


async def test_a_change_of_one_s_own_code_is_served(here: Path):
    """Also after a mistake in between; the conversation goes on in the same folder."""
    yours(here)
    code, port = (here / "yours.py").read_text(), free_port()
    url = f"http://127.0.0.1:{port}"
    child = Child(
        [*COMMAND, "dev", "--app", "yours:app", "--reload", "--port", str(port)],
        log=here / "log",
        cwd=here,
    )
    try:
        child.start()
        child.wait_until(lambda: status(port, "/readyz") == 200, 60.0)
        assert run("chat", "ada", "Hello", "--url", url).stdout == "Polly says Hello\n"

        (here / "yours.py").write_text("open('seen', 'w').close()\n1 / 0\n")
        await eventually((here / "seen").exists, within=60)
        (here / "yours.py").write_text(code.replace("Polly", "Lora"))
        child.wait_until(lambda: status(port, "/readyz") == 200, 60.0)
        assert run("chat", "ada", "Hi", "--url", url).stdout == "Lora says Hi\n"

        history = run("history", "ada", "--url", url).stdout
    finally:
        child.terminate(20)

    assert "user: Hello" in history
    assert "ZeroDivisionError" in (here / "log").read_text()


def test_a_module_of_a_package_is_found(here: Path):
    """As Python names it."""
    (here / "shop").mkdir()
    yours(here / "shop", "bot = make()")
    with running(here / "data", "--app", "shop.yours:bot") as service:
        assert said(service) == "Polly says Hello\n"


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("yours.py", "app = make()", "use --app yours:app"),
        ("./yours.py:app", "app = make()", "use --app yours:app"),
        ("mine:app", "app = make()", "there is no module 'mine'"),
        ("yours.bot:app", "app = make()", "there is no module 'yours.bot'"),
        ("yours:bot", "app = make()", "'yours:bot'"),
        ("yours:make", "app = None", "is of type function"),
        ("yours:app", "from fastapi import FastAPI; app = FastAPI()", "docs/mounting.md"),
        ("yours:app", "app = create_app(Settings(components='/nowhere'))", "no folder"),
        ("yours:app", "app = create_app(Settings(model='skripted'))", "did you mean 'scripted'"),
    ],
)
def test_an_app_that_cannot_be_served_is_one_line(here: Path, name: str, line: str, words: str):
    """It exits with 2, and says what to write."""
    yours(here, line)

    assert words in refused(run("serve", "--app", name, "--port", "0"))


def test_dev_refuses_as_serve_does(here: Path):
    """Both load the app in the same way."""
    assert "no module 'yours'" in refused(run("dev", "--app", "yours:app", "--port", "0"))


def test_a_mistake_in_the_code_keeps_its_place(here: Path):
    """A module that it does not find is the code's own matter: its line is shown."""
    yours(here, "import nowhere_to_be_found")
    done = new_process("dev", "--app", "yours:app", "--port", "0")

    assert done.returncode == 1
    assert 'yours.py", line' in done.stderr
    assert "nowhere_to_be_found" in done.stderr


def test_the_help_names_it():
    """Both commands have the option."""
    for command in ("dev", "serve"):
        assert "--app MODULE:NAME" in run(command, "--help").stdout
