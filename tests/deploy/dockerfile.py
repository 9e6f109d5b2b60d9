"""The Dockerfile in parts: its stages, and what they copy, set and run."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from string import Template

from tests.deploy.manifests import ROOT

DOCKERFILE = ROOT / "Dockerfile"
BASE_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of the base."""


@dataclass
class Copy:
    """One COPY: its sources, and where they land."""

    sources: list[str]
    target: PurePosixPath
    stage: str | None
    """Where the sources are, if not in the build context."""
    owner: str | None


@dataclass
class Stage:
    """One stage: what it is made from, and its instructions in order."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    parent: "Stage | None" = None

    def of(self, instruction: str) -> list[str]:
        """What follows each of one instruction."""
        return [rest for word, rest in self.steps if word == instruction]

    def lineage(self) -> "list[Stage]":
        """Itself, and the stages that it is made from."""
        return [self, *(self.parent.lineage() if self.parent else ())]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that it sets."""
        words = [word for rest in self.of("ENV") for word in shlex.split(rest)]
        return dict(word.split("=", 1) for word in words)

    @property
    def variables(self) -> dict[str, str]:
        """The variables that it has, its base's among them."""
        found = self.parent.variables if self.parent else {"PATH": BASE_PATH}
        return found | {
            name: Template(value).safe_substitute(found) for name, value in self.environment.items()
        }

    @property
    def folder(self) -> PurePosixPath:
        """The folder in which it ends."""
        return self._placed()[0]

    def copies(self) -> list[Copy]:
        """Each COPY of its own."""
        return self._placed()[1]

    def _placed(self) -> tuple[PurePosixPath, list[Copy]]:
        folder = self.parent.folder if self.parent else PurePosixPath("/")
        copies = []
        for word, rest in self.steps:
            if word == "WORKDIR":
                folder /= rest
            elif word == "COPY":
                copies.append(_copy(rest, folder))
        return folder, copies

    def copied(self) -> Iterator[tuple[list[str], str]]:
        """Sources and target of each copy from the build context."""
        for each in self.copies():
            if each.stage is None:
                yield each.sources, str(each.target)


def _copy(rest: str, folder: PurePosixPath) -> Copy:
    words = shlex.split(rest)
    flags = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
    *sources, target = (word for word in words if not word.startswith("--"))
    return Copy(sources, folder / target, flags.get("from"), flags.get("chown"))


def stages(text: str | None = None) -> dict[str, Stage]:
    """Each stage by its name, in order."""
    found: dict[str, Stage] = {}
    text = DOCKERFILE.read_text(encoding="utf-8") if text is None else text
    bare = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", "", bare).splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = Stage(base, name, parent=found.get(base))
        elif word:
            [*found.values()][-1].steps.append((word, rest))
    return found
