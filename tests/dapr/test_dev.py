"""`agent-actors dev --runtime dapr`: a real Dapr by one command."""

import sys
from pathlib import Path

import httpx2
import pytest

from agent_actors.engine.child import Child, environment
from agent_actors.engine.ports import free_port, status
from agent_actors.errors import StartupError
from agent_actors.protocol.wire import TOKEN_HEADER
from tests.dapr.engine import ROOT, Engine
from tests.fakes import eventually

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are seen in /proc")

SAID = {"role": "user", "content": "hi"}


@pytest.fixture
def dev(engine: Engine, tmp_path: Path):
    """The command, on a data folder of its own; it is not started."""
    engine.require()
    port = free_port()
    command = [sys.executable, "-m", "agent_actors", "dev", "--runtime", "dapr"]
    child = Child(
        [*command, "--port", str(port), "--data", str(tmp_path / "data")],
        log=tmp_path / "dev.log",
        env=environment(PYTHONPATH=f"{ROOT / 'src'}", AGENT_ACTORS_COMPONENTS=f"{ROOT}/components"),
        cwd=tmp_path,
    )
    yield child, port
    child.terminate(20)


def counted(port: int) -> int:
    """One more turn of ada's, and the number of her turns."""
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http:
        answer = http.post("/chat/ada", json=SAID)
        assert answer.status_code == 200, answer.text
        number: int = http.get("/response/ada/count").json()["count"]
        return number


def ready(child: Child, port: int) -> None:
    child.start()
    child.wait_until(lambda: status(port, "/readyz") == 200, 60.0)


async def nobody_left(folder: Path) -> None:
    """Waits until no process has that folder on its command line."""

    def gone() -> bool:
        lines = (path / "cmdline" for path in Path("/proc").iterdir() if path.name.isdigit())
        return not any(str(folder).encode() in read(line) for line in lines)

    await eventually(gone, 20.0)


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # It has ended meanwhile.


async def test_everything_starts_and_stops_with_it(dev: tuple[Child, int], tmp_path: Path):
    """A message is answered; at SIGTERM it ends with 0, and so do Redis and Dapr."""
    child, port = dev
    ready(child, port)

    assert counted(port) == 1

    child.terminate(20)
    assert "Traceback" not in child.tail()
    await nobody_left(tmp_path / "data")


async def test_a_killed_one_leaves_nobody_and_loses_nothing(dev: tuple[Child, int], tmp_path: Path):
    """`kill -9` ends what it started, and the next start finds what was said."""
    child, port = dev
    ready(child, port)
    assert counted(port) == 1

    child.kill()
    await nobody_left(tmp_path / "data")
    ready(child, port)

    assert counted(port) == 2


def test_the_token_of_the_environment_is_the_sidecars(dev: tuple[Child, int]):
    """Who has set `APP_API_TOKEN` can use it, as doctor does; nobody else may call back."""
    child, port = dev
    child._env["APP_API_TOKEN"] = "a token of one's own"
    ready(child, port)
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as http:
        asked = [
            http.put("/actors/ChatAgent/ada/method/Ping", headers={TOKEN_HEADER: token}).status_code
            for token in ("a token of one's own", "another")
        ]

    assert counted(port) == 1
    assert asked == [200, 403]


def test_without_the_binaries_it_says_how_to_get_them(dev: tuple[Child, int], tmp_path: Path):
    """One line, and exit code 2."""
    child, port = dev
    empty = tmp_path / "empty"
    empty.mkdir()
    child._env["AGENT_ACTORS_ENGINE"] = str(empty)

    with pytest.raises(StartupError, match="ended \\(2\\)"):
        ready(child, port)
    assert "AGENT_ACTORS_ENGINE" in child.tail()


YOURS = """
from agent_actors import create_app
from agent_actors.model import Model
from agent_actors.protocol.messages import Reply

class Parrot(Model):
    async def reply(self, prompt):
        return Reply("Polly says " + prompt.message.content, model="parrot")

app = create_app(model=Parrot())
"""


async def test_an_own_app_is_served_beside_the_local_dapr(dev: tuple[Child, int], tmp_path: Path):
    """It finds the sidecar that the command has started; a change of its code is served, too."""
    child, port = dev
    (tmp_path / "yours.py").write_text(YOURS)
    child.argv += ["--app", "yours:app", "--reload"]
    ready(child, port)

    assert answered(port) == "Polly says hi"
    info = httpx2.get(f"http://127.0.0.1:{port}/info", trust_env=False).json()
    assert (info["runtime"], info["model"]) == ("dapr", "Parrot")

    (tmp_path / "yours.py").write_text(YOURS.replace("Polly", "Lora"))
    await eventually(lambda: answered(port) == "Lora says hi", 60.0)

    child.terminate(20)
    assert "Traceback" not in child.tail()
    await nobody_left(tmp_path / "data")


def answered(port: int) -> str | None:
    """The answer to a message, or None while the service starts."""
    try:
        answer = httpx2.post(
            f"http://127.0.0.1:{port}/chat/ada", json=SAID, trust_env=False, timeout=30
        )
    except httpx2.TransportError:
        return None
    return answer.json()["response"]["content"] if answer.status_code == 200 else None
