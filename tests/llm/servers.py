"""Model servers for tests, all by other projects.

| fixture | what it is | what for |
|---|---|---|
| `aimock` | npm's `@copilotkit/aimock`, a process | answers by a script; counts calls |
| `llmock` | PyPI's `llmock`, a thread | breaks answers below HTTP; checks its client |
| `real_model` | llama.cpp with SmolLM2 135M, a process | answers what no test has scripted |

Each is started once per session, when first needed, and reset between tests.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from llmock.pytest_plugin import LLMock
from llmock.testing import LLMockServer

from agent_actors.engine.child import Child
from agent_actors.engine.ports import LOOPBACK, free_port, status
from tests.llm.aimock import Aimock, missing

DEADLINE = 60.0
PACKAGES = Path(sys.prefix) / "real-model"


@pytest.fixture(scope="session")
def aimock_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aimock]:
    """The process; without Node, or before `make llm`, the test is skipped with a reason."""
    reason = missing()
    if reason is not None:
        pytest.skip(f"no mock model server: {reason}")
    server = Aimock(tmp_path_factory.mktemp("aimock"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def aimock(aimock_server: Aimock) -> Aimock:
    """A model server with an empty script and an empty journal."""
    aimock_server.reset()
    return aimock_server


@pytest.fixture(scope="session")
def llmock_server() -> Iterator[LLMockServer]:
    """Uses a port below the ephemeral range; llmock's own fixture takes one from it."""
    with LLMockServer(port=free_port()) as server:
        yield server


@pytest.fixture
def llmock(llmock_server: LLMockServer) -> LLMock:
    """As llmock's own fixture, but without changes to the environment."""
    return LLMock(llmock_server).reset()


class RealModel:
    """llama.cpp with a small model, in a process.

    Args:
        folder: For its log.
    """

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.base_url = f"http://{LOOPBACK}:{port}/v1"
        program = Path(__file__).parent / "llama.py"
        self._child = Child(
            [sys.executable, program, PACKAGES, str(port)], log=folder / "llama.log"
        )
        self._ready = lambda: status(port, "/health") == 200

    def start(self) -> "RealModel":
        """Starts it and waits until the model is loaded.

        Raises:
            StartupError: The model was not loaded; the text has the end of the log.
        """
        self._child.start()
        self._child.wait_until(self._ready, DEADLINE)
        return self

    def stop(self) -> None:
        """Kills it."""
        self._child.kill()


@pytest.fixture(scope="session")
def real_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealModel]:
    """A real model; without its packages the test is skipped with a reason."""
    if not PACKAGES.is_dir():
        pytest.skip("no real model: run `make test-servers`")
    model = RealModel(tmp_path_factory.mktemp("real-model"))
    try:
        yield model.start()
    finally:
        model.stop()
