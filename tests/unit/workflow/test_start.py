"""Where workflows can carry turns, and where the service refuses to start."""

from pathlib import Path

import pytest

from agent_actors.app import create_app
from agent_actors.errors import StartupError
from agent_actors.settings import Settings
from tests.fakes import FakeRuntime, QuickModel


def test_the_embedded_runtime_has_no_workflows(tmp_path: Path):
    """The start fails with an instruction."""
    with pytest.raises(StartupError, match=r"needs Dapr\. Remove it"):
        create_app(Settings(orchestration="workflow", data=tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_sidecar_without_a_grpc_port(monkeypatch: pytest.MonkeyPatch):
    """The variable that is missing is named."""
    monkeypatch.setenv("DAPR_HTTP_PORT", "3500")

    with pytest.raises(StartupError, match="DAPR_GRPC_PORT"):
        create_app(Settings(orchestration="workflow"))


def test_turns_are_carried_by_actors_alone_by_default(tmp_path: Path):
    """Without the setting, workflows cost nothing."""
    app = create_app(Settings(data=tmp_path), runtime=FakeRuntime(), model=QuickModel())

    assert app.state.services.session_turns is app.state.services.turns
