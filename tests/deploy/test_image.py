"""The image: its Dockerfile is clean, copies what is there, and what it installs runs.

No image is built here, for want of a container engine: its own commands run in a folder instead.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent_actors.engine.ports import free_port, status
from tests.deploy.dockerfile import DOCKERFILE, Stage, stages
from tests.deploy.image_rules import ALWAYS, Check, dockerignored
from tests.deploy.manifests import ROOT, rendered, service_container
from tests.e2e.service import environment, eventually

WITHIN = 60.0


def test_hadolint_finds_nothing():
    """The linter of Dockerfiles has nothing to say."""
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [linter, "--no-color", DOCKERFILE], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_would_find_something(tmp_path: Path):
    """A base without a tag is found."""
    linter = Path(sys.executable).with_name("hadolint")
    (tmp_path / "Dockerfile").write_text('FROM python\nCMD ["python"]\n')
    done = subprocess.run([linter, tmp_path / "Dockerfile"], capture_output=True, timeout=60)

    assert b"DL3006" in done.stdout


@pytest.mark.parametrize("check", ALWAYS, ids=lambda check: check.__name__)
def test_the_image_keeps_to_its_rules(check: Check):
    """Each rule holds."""
    assert not [*check(stages())]


def test_nothing_else_enters_the_build():
    """Secrets, data, tests and the repository itself stay outside."""
    sources = {
        source for stage in stages().values() for some, _ in stage.copied() for source in some
    }

    assert {"src", "components", "pyproject.toml"} <= sources
    assert {path.name for path in ROOT.iterdir() if dockerignored(path.name)} == sources
    for each in (".git", ".agent-actors", "secrets.json", "src/agent_actors/__pycache__"):
        assert not dockerignored(each), each


def test_dev_runs_what_its_overlay_runs():
    """The image for live update starts as the overlay `dev` starts it."""
    command = json.loads(stages()["dev"].of("CMD")[0])

    assert command == service_container(rendered("dev"))["command"]
    assert "--reload" in command


@pytest.mark.timeout(300)  # It installs all packages, by the network where no cache has them.
async def test_what_the_image_installs_answers(tmp_path: Path):
    """The Dockerfile's own commands, in empty environments, end in a service that lives."""
    made = installed(stages()["build"], tmp_path)
    (command,) = stages()["runtime"].of("CMD")
    _, *words = json.loads(command)
    words[words.index("0.0.0.0")] = "127.0.0.1"
    words[words.index("8000")] = str(port := free_port())

    with running([made / "bin" / "agent-actors", *words], tmp_path):

        async def lives() -> bool:
            return status(port, "/livez") == 200

        await eventually(lives, "the service lives", WITHIN)

    assert [*made.glob("lib/python*/site-packages/agent_actors/__pycache__/*.pyc")]
    assert loaded(made, tmp_path / "context/src") == str(
        tmp_path / "context/src/agent_actors/__init__.py"
    )
    assert not [*made.glob("lib/python*/site-packages/hatchling")]


def loaded(made: Path, code: Path) -> str:
    """Where the service is loaded from when its code stands before the installed one, as in dev."""
    done = subprocess.run(
        [made / "bin/python", "-c", "import agent_actors; print(agent_actors.__file__)"],
        env={"PYTHONPATH": str(code)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.strip()


def installed(stage: Stage, folder: Path) -> Path:
    """Runs a stage's commands in a folder, with a Python of its own; says where they install."""
    context, base, made = folder / "context", folder / "base", folder / "made"
    context.mkdir()
    subprocess.run([sys.executable, "-m", "venv", base], check=True, timeout=60)
    variables = environment(**stage.environment) | {"PATH": f"{base}/bin:{os.environ['PATH']}"}
    del variables["UV_NO_CACHE"]  # So that it costs little the second time.
    for word, rest in stage.steps:
        if word == "COPY":
            copy(stage, rest, context)
        elif word == "RUN":
            step = rest.replace("/opt/agent-actors", str(made)).replace("--no-cache-dir", "")
            done = subprocess.run(
                ["sh", "-ec", step],
                cwd=context,
                env=variables,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
            assert done.returncode == 0, f"{step}\n{done.stdout}\n{done.stderr}"
    return made


def copy(stage: Stage, rest: str, context: Path) -> None:
    *sources, target = rest.split()

    for source in sources:
        if (ROOT / source).is_dir():
            shutil.copytree(
                ROOT / source, context / target, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / source, context / target)


@contextmanager
def running(command: list[str | Path], folder: Path) -> Iterator[None]:
    """A process of the image's, away from this repository."""
    with (folder / "log").open("wb") as log:
        variables = environment(AGENT_ACTORS_DATA=str(folder / "data"))
        variables.pop("PYTHONPATH", None)
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)
