"""Servers that tests take for a model's vendor. We wrote none of them.

| fixture | what it is | what for |
|---|---|---|
| `aimock` | npm's `@copilotkit/aimock`, a process | says what a test scripts; counts calls |
| `llmock` | PyPI's `llmock`, a thread | breaks answers below HTTP; grades its client |
| `real_model` | llama.cpp with SmolLM2 135M, a process | says what no test has thought of |

Each is started once a session, when first asked for, and forgets between tests.
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
    """The process; without Node, or before `make llm`, the test is skipped, with the reason."""
    reason = missing()
    if reason is not None:
        pytest.skip(f"no scripted model: {reason}")
    server = Aimock(tmp_path_factory.mktemp("aimock"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def aimock(aimock_server: Aimock) -> Aimock:
    """A model server that says nothing yet, and has been asked nothing."""
    aimock_server.reset()
    return aimock_server


@pytest.fixture(scope="session")
def llmock_server() -> Iterator[LLMockServer]:
    """A port below those that systems hand out, which llmock's own fixture would take."""
    with LLMockServer(port=free_port()) as server:
        yield server


@pytest.fixture
def llmock(llmock_server: LLMockServer) -> LLMock:
    """The one that llmock brings, but the environment stays as it is."""
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
        """Starts it, and waits until the model is loaded.

        Raises:
            StartupError: It was not; the text has the end of its log.
        """
        self._child.start()
        self._child.wait_until(self._ready, DEADLINE)
        return self

    def stop(self) -> None:
        """Ends it at once."""
        self._child.kill()


@pytest.fixture(scope="session")
def real_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealModel]:
    """A real model; where its packages are not installed, the test is skipped, with the reason."""
    if not PACKAGES.is_dir():
        pytest.skip("no real model: run `make test-servers`")
    model = RealModel(tmp_path_factory.mktemp("real-model"))
    try:
        yield model.start()
    finally:
        model.stop()
