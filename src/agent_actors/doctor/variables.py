"""Variables that begin like ours and are none: they would be ignored without a word."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from agent_actors.settings import Settings

PREFIX = "AGENT_ACTORS_"
OTHERS = ("AGENT_ACTORS_URL", "AGENT_ACTORS_TOKEN", "AGENT_ACTORS_ENGINE")
"""Read by commands and by `dev --runtime dapr`; no settings of the service."""
OPTIONS = {f"{PREFIX}{name.upper()}": f"--{name}" for name in ("host", "port", "runtime")}
"""What many would set by a variable, and only an option of the command says."""
NEAR = 0.7
"""How like a name is to be to one that is known, the prefix left out: all have that in common."""
_HOST = "_SERVICE_HOST"


@dataclass(frozen=True, slots=True)
class Misspelt:
    """A variable that nobody reads, and the one that may be meant, if any is near."""

    name: str
    meant: str | None

    def __str__(self) -> str:
        return f"{self.name} (is {self.meant} meant?)" if self.meant else self.name


def misspelt(names: Iterable[str]) -> Sequence[Misspelt]:
    """Those of the variables that begin like a setting, and are none; in order."""
    names = list(names)
    known, links = _known(), _service_links(names)
    return [
        Misspelt(name, OPTIONS.get(name.upper()) or _nearest(name.upper(), known))
        for name in sorted(names)
        if name.upper().startswith(PREFIX)
        and name.upper() not in known
        and not name.startswith(links)
    ]


def told(unknown: Sequence[Misspelt]) -> str:
    """One sentence about them."""
    named = ", ".join(map(str, unknown))
    return f"nobody reads {named}; docs/settings.md lists what there is"


def _service_links(names: Sequence[str]) -> tuple[str, ...]:
    """How the variables begin that Kubernetes sets in every pod for a Service named like us."""
    stems = [name.removesuffix(_HOST) for name in names if name.endswith(_HOST)]
    return tuple(stem + end for stem in stems for end in ("_SERVICE_", "_PORT"))


def _nearest(name: str, known: Iterable[str]) -> str | None:
    rests = {each.removeprefix(PREFIX): each for each in known}
    near = get_close_matches(name.removeprefix(PREFIX), rests, n=1, cutoff=NEAR)
    return rests[near[0]] if near else None


def _known() -> list[str]:
    """Each by the name that it is read by, which for those of Dapr and of providers is not ours."""
    fields = Settings.model_fields.items()
    return [*(_variable(name, field.validation_alias) for name, field in fields), *OTHERS]


def _variable(name: str, alias: object) -> str:
    return alias if isinstance(alias, str) else PREFIX + name.upper()
