"""The Dockerfile in parts: its stages, and what they copy, set and run."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from string import Template

from tests.deploy.manifests import ROOT

DOCKERFILE = ROOT / "Dockerfile"
BASE_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of the base image."""


@dataclass(frozen=True)
class Copy:
    """One COPY with its absolute target."""

    sources: list[str]
    target: str
    stage: str | None
    """Where the sources are, if not in the build context."""
    owner: str | None


@dataclass
class Stage:
    """One stage: its base, and its instructions in order."""

    base: str
    parent: "Stage | None" = None
    steps: list[tuple[str, str]] = field(default_factory=list)

    def of(self, instruction: str) -> list[str]:
        """The arguments of each instruction with that name."""
        return [rest for word, rest in self.steps if word == instruction]

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command that RUN gives to a shell."""
        return [shlex.split(each) for rest in self.of("RUN") for each in rest.split("&&")]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that this stage sets."""
        words = [word for rest in self.of("ENV") for word in shlex.split(rest)]
        return dict(word.split("=", 1) for word in words)

    @property
    def variables(self) -> dict[str, str]:
        """The variables of this stage and its base."""
        found = self.parent.variables if self.parent else {"PATH": BASE_PATH}
        return found | {
            name: Template(value).safe_substitute(found) for name, value in self.environment.items()
        }

    @property
    def folder(self) -> PurePosixPath:
        """The last WORKDIR."""
        return self._placed()[0]

    @property
    def copies(self) -> list[Copy]:
        """Each COPY of this stage."""
        return self._placed()[1]

    @property
    def context(self) -> list[tuple[list[str], str]]:
        """Sources and target of each copy from the build context, those of its base included."""
        inherited = self.parent.context if self.parent else []
        return inherited + [(each.sources, each.target) for each in self.copies if not each.stage]

    def _placed(self) -> tuple[PurePosixPath, list[Copy]]:
        folder = self.parent.folder if self.parent else PurePosixPath("/")
        copies = []
        for word, rest in self.steps:
            if word == "WORKDIR":
                folder /= rest
            elif word == "COPY":
                words = shlex.split(rest)
                flags = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
                *sources, target = (word for word in words if not word.startswith("--"))
                made = (str(folder / target), flags.get("from"), flags.get("chown"))
                copies.append(Copy(sources, *made))
        return folder, copies


def stages(text: str | None = None) -> dict[str, Stage]:
    """Each stage by its name, in order."""
    found: dict[str, Stage] = {}
    text = DOCKERFILE.read_text(encoding="utf-8") if text is None else text
    bare = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", "", bare).splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = Stage(base, found.get(base))
        elif word:
            [*found.values()][-1].steps.append((word, rest))
    return found
