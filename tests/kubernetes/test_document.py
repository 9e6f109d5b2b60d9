"""The commands of `docs/kubernetes.md` work as they are written there."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent_actors.engine.child import environment
from tests.kubernetes.overlays import BEARER, K8S, Overlays

ROOT = K8S.parent
PAGE = ROOT / "docs" / "kubernetes.md"


def commands(section: str) -> list[str]:
    """The commands of a section, without those that need a cloud or another machine."""
    text = PAGE.read_text(encoding="utf-8")
    body = re.search(rf"^##+ {section}\n(.*?)(?=^##+ |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    assert body is not None
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", body[1], flags=re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture
def laptop(overlays: Overlays, tmp_path: Path) -> Path:
    """A folder with what the page assumes: checkout, tokens, and a kubeconfig."""
    for name in ("components", "k8s"):
        (tmp_path / name).symlink_to(ROOT / name)
    tokens = [{"token": BEARER, "subject": "ada"}]
    (tmp_path / "tokens.json").write_text(json.dumps(tokens), encoding="utf-8")
    shutil.copy(overlays.cluster.admin, tmp_path / "kubeconfig")
    return tmp_path


def typed(command: str, overlays: Overlays, laptop: Path) -> str:
    """The error output of a command; empty if it succeeds."""
    path = f"{overlays.cluster.servers}:/usr/bin:/bin"
    done = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=laptop,
        env=environment(KUBECONFIG=str(laptop / "kubeconfig"), HOME=str(laptop), PATH=path),
    )
    return done.stderr if done.stderr or not done.returncode else f"code {done.returncode}"


def test_production_is_set_up_as_the_page_says(overlays: Overlays, laptop: Path):
    """The commands for production create a namespace in which its overlay gets its pods."""
    given = [*commands("In production"), "kubectl apply -k k8s/overlays/prod"]
    errors = {command: typed(command, overlays, laptop) for command in given}

    assert len(errors) > 4
    assert not {command for command in errors if errors[command]}, errors
    assert overlays.pods("agent-actors")


def test_another_namespace_is_made_as_the_page_says(overlays: Overlays, laptop: Path):
    """The commands for another namespace create one with the service in it."""
    given = commands("Several namespaces")
    errors = {command: typed(command, overlays, laptop) for command in given}

    assert errors
    assert not {command for command in errors if errors[command]}, errors
    assert overlays.pods("another")
