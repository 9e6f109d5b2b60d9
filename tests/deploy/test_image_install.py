"""What the image installs starts and answers, and has a wheel on every machine it is built for.

No image is built here, for want of a container engine: its commands run in a folder instead.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent_actors.engine.ports import free_port, status
from tests.deploy.dockerfile import Stage, stages
from tests.deploy.manifests import ROOT
from tests.e2e.service import environment, eventually

MACHINES = ("x86_64", "aarch64")
LOCKS = ("requirements-image.lock", "requirements-build.lock")
UV = Path(sys.executable).with_name("uv")
HASTY = {"UV_HTTP_TIMEOUT": "10", "UV_HTTP_RETRIES": "1"}
"""An index that never answers is noticed before the timeout of the test."""
UNREACHED = ("Failed to fetch", "Request failed", "network was disabled")


@pytest.mark.timeout(300)  # It installs all packages, from the network if no cache has them.
async def test_what_the_image_installs_answers(tmp_path: Path):
    """The commands of the Dockerfile, in empty environments, end in a service that answers."""
    made = install(stages()["build"], tmp_path)
    (command,) = stages()["runtime"].of("CMD")
    _, *words = json.loads(command)
    words[words.index("0.0.0.0")] = "127.0.0.1"
    words[words.index("8000")] = str(port := free_port())

    async def answers() -> bool:
        return status(port, "/livez") == 200

    with running([made / "bin/agent-actors", *words], tmp_path):
        await eventually(answers, "the service answers", 60.0)

    assert [*made.glob("lib/python*/site-packages/agent_actors/__pycache__/*.pyc")]
    assert not [*made.glob("lib/python*/site-packages/hatchling")]
    # With PYTHONPATH, as in dev, the copied code comes before the installed one.
    code = tmp_path / "context/src"
    asked: list[str | Path] = [
        made / "bin/python",
        "-c",
        "import agent_actors; print(agent_actors.__file__)",
    ]
    assert run(asked, {"PYTHONPATH": str(code)}).stdout.startswith(str(code))


def install(stage: Stage, folder: Path) -> Path:
    """Runs the commands of a stage in a folder, and returns where they installed."""
    context, base, made = folder / "context", folder / "base", folder / "made"
    context.mkdir()
    run([sys.executable, "-m", "venv", base], os.environ)
    variables = environment(**stage.environment) | {"PATH": f"{base}/bin:{os.environ['PATH']}"}
    del variables["UV_NO_CACHE"]  # The second run is cheap.
    for word, rest in stage.steps:
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                copy(ROOT / source, context / target)
        elif word == "RUN":
            step = rest.replace("/opt/agent-actors", str(made)).replace("--no-cache-dir", "")
            run(["sh", "-ec", step], variables, context)
    return made


def run(
    command: Sequence[str | Path], variables: Mapping[str, str], folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command that has to succeed."""
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, timeout=240
    )

    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


@contextmanager
def running(command: Sequence[str | Path], folder: Path) -> Iterator[None]:
    """A process that runs away from this repository."""
    variables = environment(AGENT_ACTORS_DATA=str(folder / "data"))
    variables.pop("PYTHONPATH", None)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_has_a_wheel(lock: str, machine: str, tmp_path: Path):
    """With the Python of the image nothing has to be compiled, since it has no compiler."""
    done = resolved(ROOT / lock, machine, tmp_path / "target")
    lines = re.findall(r"^([\w.-]+==\S+)( ;)?", (ROOT / lock).read_text(), re.MULTILINE)
    found = set(re.findall(r"^ \+ (\S+)$", done.stderr, re.MULTILINE))

    assert done.returncode == 0, done.stderr
    assert found <= {pin for pin, _ in lines}
    assert found >= {pin for pin, only_somewhere in lines if not only_somewhere}


def resolved(lock: Path, machine: str, target: Path) -> subprocess.CompletedProcess[str]:
    """What uv would install into an empty folder of the base image, without fetching it.

    Without an index it skips the test; in CI, the test fails.
    """
    (base,) = {each.base for each in stages().values() if each.parent is None}
    version = base.partition(":")[2].partition("-")[0]
    where = ["--python-version", version, "--python-platform", f"{machine}-manylinux_2_28"]
    how = ["--dry-run", "--only-binary", ":all:", "--require-hashes", "--target", str(target)]
    done = subprocess.run(
        [UV, "pip", "install", *how, *where, "-r", lock],
        env=HASTY | os.environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if any(each in done.stderr for each in UNREACHED):
        end = pytest.fail if os.environ.get("CI") else pytest.skip
        reasons = (line for line in done.stderr.splitlines() if line.startswith("error: "))
        end(f"the package index cannot be reached: {next(reasons, done.stderr)}")
    return done
