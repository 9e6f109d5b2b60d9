"""The Dockerfile in parts: its stages, and what they copy, set and run."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.deploy.manifests import ROOT

DOCKERFILE = ROOT / "Dockerfile"


@dataclass
class Stage:
    """One stage: what it is made from, and its instructions in order."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def of(self, instruction: str) -> list[str]:
        """What follows each of one instruction."""
        return [rest for word, rest in self.steps if word == instruction]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that it sets."""
        words = [word for rest in self.of("ENV") for word in shlex.split(rest)]
        return dict(word.split("=", 1) for word in words)

    def copied(self) -> Iterator[tuple[list[str], str]]:
        """Sources and target of each copy from the build context."""
        for rest in self.of("COPY"):
            words = shlex.split(rest)
            plain = [word for word in words if not word.startswith("--")]
            if not any(word.startswith("--from") for word in words):
                yield plain[:-1], plain[-1]


def stages() -> dict[str, Stage]:
    """Each stage by its name, in order."""
    found: dict[str, Stage] = {}
    text = DOCKERFILE.read_text(encoding="utf-8")
    bare = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in re.sub(r"\\\n\s*", "", bare).splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = Stage(base, name)
        elif word:
            [*found.values()][-1].steps.append((word, rest))
    return found
