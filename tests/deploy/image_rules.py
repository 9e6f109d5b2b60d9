"""What the Dockerfile has to keep to, besides what its linter says.

Each rule yields what breaks it, so that tests can also see that it would.
"""

import fnmatch
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from agent_actors.settings import Settings
from tests.deploy.command_line import mistake, option
from tests.deploy.dockerfile import Stage
from tests.deploy.manifests import PLAIN, ROOT, pod, rendered, service_container, the

Stages = dict[str, Stage]
Check = Callable[[Stages], Iterator[str]]

RUN = ("dev", "runtime")
"""The stages that are started."""

PINNED = r"python:3\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?"
ANYBODY, OWN = PurePosixPath("/tmp"), PurePosixPath("/app")  # noqa: S108 - No file of a test.
"""Where everybody may write, and where the service is at home."""


def commands(stage: Stage) -> list[list[str]]:
    """The words of each command of a stage's shell, in order."""
    lines = [each for rest in stage.of("RUN") for each in rest.split("&&")]
    return [shlex.split(each) for each in lines]


def _lasting(stage: Stage, instruction: str) -> list[str]:
    """What an instruction says last, in a stage or those that it is made from."""
    said = (each.of(instruction) for each in stage.lineage())
    return next((each[-1:] for each in said if each), [])


def one_base_is_pinned(stages: Stages) -> Iterator[str]:
    """What is built with one Python runs on the same one."""
    bases = {each.base for each in stages.values() if each.parent is None}
    if len(bases) != 1:
        yield f"there are several bases, or none: {bases}"
    for each in bases:
        if not re.fullmatch(PINNED, each):
            yield f"{each} is not pinned"


def what_is_copied_is_there(stages: Stages) -> Iterator[str]:
    """A source in the repository exists, and .dockerignore lets it into the build."""
    for stage in stages.values():
        for sources, _ in stage.copied():
            for each in sources:
                if not (ROOT / each).exists() or not dockerignored(each):
                    yield f"{each} is not in the build"


def other_stages_are_earlier(stages: Stages) -> Iterator[str]:
    """A copy from a stage is from an earlier one, of what that makes, to the same place.

    A virtual environment knows where it is: elsewhere its commands find no Python.
    """
    earlier: list[str] = []
    for name, stage in stages.items():
        for each in stage.copies():
            if each.stage is not None and each.stage not in earlier:
                yield f"{name} copies from {each.stage}, which is no earlier stage"
            elif each.stage is not None:
                made = environments(stages[each.stage])
                if [PurePosixPath(source) for source in each.sources] != made:
                    yield f"{each.stage} makes {made}, not {each.sources}"
                if [each.target] != made:
                    yield f"{each.sources} cannot be moved to {each.target}"
        earlier.append(name)


def environments(stage: Stage) -> list[PurePosixPath]:
    """The virtual environments that a stage has made, those of its base among them."""
    words = [each for line in stage.lineage() for each in commands(line)]
    return [PurePosixPath(each[2]) for each in words if each[:2] == ["uv", "venv"]]


def everything_is_installed_into_one_environment(stages: Stages) -> Iterator[str]:
    """What the service needs, and itself, but nothing that only builds."""
    builder = stages["build"]
    made = environments(builder)
    installed = [words for words in commands(builder) if words[:3] == ["uv", "pip", "install"]]
    if [option(words, "--python") for words in installed] != [str(each) for each in made * 2]:
        yield f"not all is installed into {made}"
    for words in installed:
        if any("build" in word for word in words):
            yield "what builds is installed where the service runs"


def packages_come_from_locks(stages: Stages) -> Iterator[str]:
    """Every install is of a lock with hashes, in wheels only, or of our own wheel by itself."""
    for stage in stages.values():
        for words in commands(stage):
            if "install" not in words[1:]:
                continue
            lock = option(words, "-r")
            locked = lock is not None and "--require-hashes" in words
            ours = {"--no-deps", "--no-index"} <= set(words) and words[-1] == "agent-actors"
            if not locked and not ours:
                yield f"{shlex.join(words)} installs whatever there is"
            if lock == "requirements-image.lock" and option(words, "--only-binary") != ":all:":
                yield "a package may be compiled"


def what_is_used_was_copied_before(stages: Stages) -> Iterator[str]:
    """Each lock is there when it is installed; the wheel has all of its sources."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    named = [project["project"]["readme"], *project["project"]["license-files"], *wheel]
    for stage in stages.values():
        there: set[str] = set()
        for word, rest in stage.steps:
            if word == "COPY":
                there.update(shlex.split(rest)[:-1])
            if word == "RUN":
                needed = set(re.findall(r"-r (\S+)", rest))
                if "hatchling" in rest:
                    needed |= {"pyproject.toml"} | {each.partition("/")[0] for each in named}
                for each in needed - there:
                    yield f"{each} is used before it is copied"


def a_change_of_code_installs_no_package(stages: Stages) -> Iterator[str]:
    """The layer of the packages comes before whatever changes often."""
    seen: list[str] = []
    for word, rest in stages["build"].steps:
        seen += shlex.split(rest)[:-1] if word == "COPY" else []
        if word == "RUN" and "requirements-image.lock" in rest and not _locks(seen):
            yield f"a change of {seen} installs all packages again"


def _locks(names: list[str]) -> bool:
    return all(each.endswith(".lock") for each in names)


def commands_are_found(stages: Stages) -> Iterator[str]:
    """The command of a stage is in PATH, before the base's own, and is one that we have."""
    for name in RUN:
        stage = stages[name]
        copied = {each.target for line in stage.lineage() for each in line.copies() if each.stage}
        there = {*environments(stage), *copied}
        first = PurePosixPath(stage.variables["PATH"].split(":")[0])
        if first.name != "bin" or first.parent not in there:
            yield f"{name} has no environment at {first}"
        if "/usr/local/bin" not in stage.variables["PATH"].split(":"):
            yield f"{name} has lost the base's commands"
        if (said := mistake(command(stage))) is not None:
            yield f"{name}: {said}"


def command(stage: Stage) -> list[str]:
    """What a stage runs, where it is written without a shell."""
    (said,) = stage.of("CMD") or ["[]"]
    if stage.of("ENTRYPOINT") or not said.startswith("["):
        return ["a shell, which takes the signals"]
    words: list[str] = json.loads(said)
    return words or [""]


def users_are_the_pods(stages: Stages) -> Iterator[str]:
    """Whoever runs is a number, the one of the manifests, and owns what is copied for it.

    Kubernetes cannot tell of a name that it is not root.
    """
    said = pod(the(rendered(PLAIN), "Deployment", "agent-actors"))["securityContext"]
    wanted = f"{said['runAsUser']}:{said['runAsGroup']}"
    for name in RUN:
        stage = stages[name]
        if _lasting(stage, "USER") != [wanted]:
            yield f"{name} is run by {_lasting(stage, 'USER')}, a pod by {wanted}"
        for each in stage.copies():
            if each.owner not in {None, wanted}:
                yield f"{each.sources} belongs to {each.owner}"
        for word, _ in stage.steps[[word for word, _ in stage.steps].index("USER") :]:
            if word in {"RUN", "COPY"}:
                yield f"{name} is made by its user, who may not"


def data_can_be_written(stages: Stages) -> Iterator[str]:
    """Home is where everybody may write, and what runs in `/app` owns the folder of its data."""
    for name in RUN:
        if stages[name].variables.get("HOME") != str(ANYBODY):
            yield f"{name} has no home to write to"
        if stages[name].folder != OWN:
            yield f"{name} is at {stages[name].folder}"
    stage = stages["runtime"]
    data = stage.folder / stage.variables.get(
        "AGENT_ACTORS_DATA", str(Settings.model_fields["data"].default)
    )
    owned = [
        stage.folder / words[-1]
        for words in commands(stage)
        if words[:2] == ["install", "--directory"]
        and [f"{option(words, '--owner')}:{option(words, '--group')}"] == stage.of("USER")
    ]
    if owned != [data]:
        yield f"nobody may write to {data}"


def ports_are_the_pods(stages: Stages) -> Iterator[str]:
    """The port that is told is the one that is served, for everybody, and the pod's."""
    (port,) = service_container(rendered(PLAIN))["ports"]
    for name in RUN:
        words = command(stages[name])
        told = _lasting(stages[name], "EXPOSE")
        if told != [option(words, "--port")] or told != [str(port["containerPort"])]:
            yield f"{name} serves {option(words, '--port')}, and says {told}"
        if option(words, "--host") != "0.0.0.0":
            yield f"{name} serves itself only"


def the_last_stage_has_no_tool(stages: Stages) -> Iterator[str]:
    """It has what was installed, and nothing to build or install with; and nobody asks it."""
    *_, last = stages.values()
    if last.name != "runtime" or last.parent is not None:
        yield "what runs is made from what builds"
    if [each.stage for each in last.copies()] != ["build"] or last.of("ADD"):
        yield "more is copied than what was installed"
    removed = ["python", "-m", "pip", "uninstall", "--yes", "pip"]
    allowed = {"install": ["install", "--directory"], "python": removed}
    if removed not in commands(last):
        yield "pip is there"
    for words in commands(last):
        if words[: len(allowed.get(words[0], []))] != allowed.get(words[0]):
            yield f"{shlex.join(words)} is for a stage that builds"
    if last.of("HEALTHCHECK"):
        yield "Kubernetes reads no HEALTHCHECK"


def the_manifests_run_what_the_image_runs(stages: Stages) -> Iterator[str]:
    """The command is the same, but for the runtime, which a pod must have."""
    program, name, *words = service_container(rendered(PLAIN))["command"]
    if command(stages["runtime"]) != [program, name, *words[2:]] or words[0] != "--runtime":
        yield "a pod runs something else"


def dev_starts_again_when_code_changes(stages: Stages) -> Iterator[str]:
    """The user's own copy of the code is loaded, watched, and without bytecode beside it."""
    dev = stages["dev"]
    own = [each for each in dev.copies() if each.sources == ["src"]]
    loaded = dev.variables.get("PYTHONPATH")
    if [str(each.target) for each in own] != [loaded]:
        yield f"what is copied is not loaded, which is {loaded}"
    if [each.owner for each in own] != dev.of("USER"):
        yield "what is copied cannot be changed"
    if dev.parent is not stages["build"] or "--reload" not in command(dev):
        yield "nothing starts again"
    for name in RUN:
        for variable in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):
            if stages[name].variables.get(variable) != "1":
                yield f"{name} lacks {variable}"


ALWAYS: list[Check] = [
    one_base_is_pinned,
    what_is_copied_is_there,
    other_stages_are_earlier,
    everything_is_installed_into_one_environment,
    packages_come_from_locks,
    what_is_used_was_copied_before,
    a_change_of_code_installs_no_package,
    commands_are_found,
    users_are_the_pods,
    data_can_be_written,
    ports_are_the_pods,
    the_last_stage_has_no_tool,
    the_manifests_run_what_the_image_runs,
    dev_starts_again_when_code_changes,
]


def dockerignored(path: str, text: str | None = None) -> bool:
    """Does .dockerignore let a path into the build?"""
    text = (ROOT / ".dockerignore").read_text(encoding="utf-8") if text is None else text
    kept = True
    for line in text.splitlines():
        pattern = line.removeprefix("!").replace("**/", "*/")
        names = (path, path.partition("/")[0])
        if line and line[0] != "#" and any(fnmatch.fnmatch(each, pattern) for each in names):
            kept = line.startswith("!")
    return kept
