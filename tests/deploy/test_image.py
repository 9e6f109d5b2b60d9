"""The Dockerfile and .dockerignore: rules, and careless edits that break them.

`test_image_install.py` runs the commands of the Dockerfile.
"""

import fnmatch
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from agent_actors.settings import Settings
from tests.deploy.dockerfile import DOCKERFILE, Stage, stages
from tests.deploy.manifests import PLAIN, ROOT, pod, rendered, service_container, the

Stages = dict[str, Stage]
HADOLINT = Path(sys.executable).with_name("hadolint")
PINNED = r"python:3\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?"
ENVIRONMENT = "/opt/agent-actors"
STARTED = ("dev", "runtime")
"""The stages that are started."""


def test_hadolint_finds_nothing():
    """The linter of Dockerfiles has nothing to say."""
    done = subprocess.run(
        [HADOLINT, "--no-color", DOCKERFILE], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stdout + done.stderr


def base_is_pinned(stages: Stages) -> None:
    """All stages have one base, of which the tag does not move."""
    bases = {each.base for each in stages.values() if each.parent is None}

    assert len(bases) == 1
    assert re.fullmatch(PINNED, bases.pop())


def context_has_the_sources(stages: Stages) -> None:
    """Everything that is copied exists, and .dockerignore lets it into the build."""
    for sources, _ in stages["dev"].context:
        for each in sources:
            assert (ROOT / each).exists()
            assert included(each)


def packages_come_from_locks(stages: Stages) -> None:
    """Every install is of a lock with hashes, or of our own wheel alone, into one environment."""
    installs = [
        words for each in stages.values() for words in each.commands if "install" in words[1:]
    ]
    into = f"uv pip install --python {ENVIRONMENT}"
    packages = f"{into} --only-binary :all: --require-hashes -r requirements-image.lock"
    service = f"{into} --no-deps --no-index --find-links dist agent-actors"

    assert ["uv", "venv", ENVIRONMENT] in stages["build"].commands
    assert len(installs) == 3
    assert installs[0][-3:] == ["--require-hashes", "-r", "requirements-build.lock"]
    assert installs[1:] == [packages.split(), service.split()]


def sources_are_copied_before_use(stages: Stages) -> None:
    """Each lock is there when it is installed, and the wheel has all of its sources."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    named = [project["project"]["readme"], *project["project"]["license-files"], *wheel]
    there: set[str] = set()
    for word, rest in stages["build"].steps:
        if word == "COPY":
            there.update(rest.split()[:-1])
        if word == "RUN":
            assert set(re.findall(r"-r (\S+)", rest)) <= there
        if "hatchling build" in rest:
            assert {"pyproject.toml", *(each.partition("/")[0] for each in named)} <= there
        # The layer of the packages comes before everything that changes often.
        if "-r requirements-image.lock" in rest:
            assert there == {"requirements-build.lock", "requirements-image.lock"}


def users_are_the_pods(stages: Stages) -> None:
    """The user is the number of the manifests, owns what is copied for it, and makes nothing."""
    for name in STARTED:
        words = [word for word, _ in stages[name].steps]

        assert stages[name].of("USER") == [user()]
        assert not {"RUN", "COPY"} & {*words[words.index("USER") :]}
        assert {each.owner for each in stages[name].copies} <= {None, user()}


def user() -> str:
    context = pod(the(rendered(PLAIN), "Deployment", "agent-actors"))["securityContext"]
    return f"{context['runAsUser']}:{context['runAsGroup']}"


def processes_find_their_files(stages: Stages) -> None:
    """The environment comes first in PATH, home can be written to, and /app is the folder."""
    for name in STARTED:
        variables = stages[name].variables

        assert variables["PATH"].startswith(f"{ENVIRONMENT}/bin:/usr/local/bin:")
        assert variables.get("HOME") == "/tmp"  # noqa: S108 - Not a file of a test.
        assert variables.get("PYTHONDONTWRITEBYTECODE") == variables.get("PYTHONUNBUFFERED") == "1"
        assert stages[name].folder == PurePosixPath("/app")


def commands_are_the_manifests(stages: Stages) -> None:
    """Both images start as their pods do; without a pod, no runtime is named. Ports agree."""
    (port,) = service_container(rendered(PLAIN))["ports"]
    program, command, option, runtime, *rest = service_container(rendered(PLAIN))["command"]

    assert (option, runtime) == ("--runtime", "dapr")
    assert command_of(stages["runtime"]) == [program, command, *rest]
    assert command_of(stages["dev"]) == service_container(rendered("dev"))["command"]
    assert "--reload" in command_of(stages["dev"])
    for name in STARTED:
        assert stages[name].of("EXPOSE") == [str(port["containerPort"])]


def command_of(stage: Stage) -> list[str]:
    """The command of a stage; it is empty if a shell would start it, which keeps the signals."""
    (text,) = stage.of("CMD")
    command: list[str] = (
        [] if not text.startswith("[") or stage.of("ENTRYPOINT") else json.loads(text)
    )
    return command


def last_stage_has_no_tool(stages: Stages) -> None:
    """It has the installed environment and a folder for data, nothing to build with, no pip."""
    last = stages["runtime"]
    data = last.variables.get("AGENT_ACTORS_DATA", str(Settings.model_fields["data"].default))
    owner, group = user().split(":")

    assert [*stages] == ["build", "dev", "runtime"]
    assert last.parent is None
    assert [(each.stage, each.sources, each.target) for each in last.copies] == [
        ("build", [ENVIRONMENT], ENVIRONMENT)  # Its programs contain this path.
    ]
    assert last.commands == [
        ["python", "-m", "pip", "uninstall", "--yes", "pip"],
        ["install", "--directory", "--owner", owner, "--group", group, data],
    ]
    assert not [*last.of("ADD"), *last.of("HEALTHCHECK")]  # Kubernetes reads no HEALTHCHECK.


def dev_loads_the_copied_code(stages: Stages) -> None:
    """The code that Tilt writes belongs to the user, and Python loads it first."""
    dev = stages["dev"]
    (copy,) = dev.copies

    assert dev.parent is stages["build"]
    assert (copy.sources, copy.owner) == (["src"], user())
    assert copy.target == dev.variables.get("PYTHONPATH")


EDITS: list[tuple[Callable[[Stages], None], str, str]] = [
    # The rule that is broken, and what is replaced by what.
    (base_is_pinned, "-slim-trixie AS runtime", "-slim-bookworm AS runtime"),
    (base_is_pinned, "python:3.13.16-slim-trixie", "python:3.13-slim"),
    (context_has_the_sources, "requirements-image.lock", "requirements-images.lock"),
    (packages_come_from_locks, "uv venv /opt/agent-actors", "uv venv /opt/actors"),
    (packages_come_from_locks, "-image.lock\n#", "-image.lock -r requirements-build.lock\n#"),
    (packages_come_from_locks, "--only-binary :all: ", ""),
    (packages_come_from_locks, " --require-hashes", ""),
    (packages_come_from_locks, "-r requirements-build.lock", "uv hatchling"),
    (packages_come_from_locks, "--no-deps --no-index", "--no-deps"),
    (sources_are_copied_before_use, "COPY components ./components\n", ""),
    (sources_are_copied_before_use, "COPY requirements-image.lock ./\n", ""),
    (sources_are_copied_before_use, "-image.lock ./", "-image.lock src ./"),
    (users_are_the_pods, "USER 10001:10001\n", "USER agents\n"),
    (users_are_the_pods, "--chown=10001:10001 ", "--chown=1001:1001 "),
    (users_are_the_pods, "WORKDIR /app\nCOPY", "USER 10001:10001\nWORKDIR /app\nCOPY"),
    (processes_find_their_files, "PATH=/opt/agent-actors/bin:$PATH", "PATH=$PATH"),
    (processes_find_their_files, "WORKDIR /app\n", ""),
    (processes_find_their_files, "HOME=/tmp", "HOME=/root"),
    (processes_find_their_files, "    PYTHONDONTWRITEBYTECODE=1 \\\n", ""),
    (commands_are_the_manifests, '"--host", "0.0.0.0"', '"--host", "127.0.0.1"'),
    (commands_are_the_manifests, '["agent-actors", "serve", ', "agent-actors serve "),
    (commands_are_the_manifests, '"--reload", ', ""),
    (commands_are_the_manifests, "EXPOSE 8000", "EXPOSE 8080"),
    (last_stage_has_no_tool, "python:3.13.16-slim-trixie AS runtime", "build AS runtime"),
    (last_stage_has_no_tool, "/opt/agent-actors /opt/agent-actors\n", "/opt/agent-actors /app\n"),
    (last_stage_has_no_tool, "RUN python -m pip uninstall --yes pip\n", ""),
    (last_stage_has_no_tool, "RUN install", "RUN apt-get install --yes gcc && install"),
    (last_stage_has_no_tool, 'CMD ["agent-actors", "s', 'HEALTHCHECK CMD true\nCMD ["x", "s'),
    (dev_loads_the_copied_code, "PYTHONPATH=/app/src", "PYTHONPATH=/src"),
    (dev_loads_the_copied_code, "--chown=10001:10001 ", ""),
    (dev_loads_the_copied_code, "FROM build AS dev", "FROM python:3.13.16-slim-trixie AS dev"),
]
RULES = [*dict.fromkeys(rule for rule, _, _ in EDITS)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_image_keeps_its_rules(rule: Callable[[Stages], None]):
    """Each rule holds of the Dockerfile."""
    rule(stages())


@pytest.mark.parametrize(("rule", "right", "wrong"), EDITS)
def test_a_careless_edit_is_noticed(rule: Callable[[Stages], None], right: str, wrong: str):
    """It breaks the rule that is about it."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert right in text

    with pytest.raises(AssertionError):
        rule(stages(text.replace(right, wrong)))


def included(path: str, text: str | None = None) -> bool:
    """Whether .dockerignore lets a path into the build."""
    text = (ROOT / ".dockerignore").read_text(encoding="utf-8") if text is None else text
    kept = True
    for line in text.splitlines():
        pattern = line.removeprefix("!").replace("**/", "*/")
        names = (path, path.partition("/")[0])
        if line and line[0] != "#" and any(fnmatch.fnmatch(each, pattern) for each in names):
            kept = line.startswith("!")
    return kept


def test_nothing_else_enters_the_build():
    """Secrets, data, tests and the repository itself stay outside."""
    sources = {source for some, _ in stages()["dev"].context for source in some}

    assert {"src", "components", "pyproject.toml"} <= sources
    assert {path.name for path in ROOT.iterdir() if included(path.name)} == sources


@pytest.mark.parametrize(
    ("right", "wrong", "path"),
    [
        ("*\n", "", ".git"),
        ("*\n", "", "secrets.json"),
        ("**/__pycache__", "", "src/agent_actors/__pycache__"),
        ("!src\n", "!src\n!.agent-actors\n", ".agent-actors"),
    ],
)
def test_a_careless_edit_lets_more_into_the_build(right: str, wrong: str, path: str):
    """One line keeps each of these out of the build, and its loss is noticed."""
    text = (ROOT / ".dockerignore").read_text(encoding="utf-8")

    assert not included(path, text)
    assert included(path, text.replace(right, wrong))
