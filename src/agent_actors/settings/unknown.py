"""Environment variables that look like settings but are not, such as misspelt ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from agent_actors.settings import Settings

PREFIX = "AGENT_ACTORS_"
OTHERS = ("AGENT_ACTORS_URL", "AGENT_ACTORS_TOKEN", "AGENT_ACTORS_ENGINE")
"""Read by the commands and by `dev --runtime dapr`; not settings of the service."""
OPTIONS = {f"{PREFIX}{name.upper()}": f"--{name}" for name in ("host", "port", "runtime")}
"""Often expected to be variables, but they are options of the command only."""
SIMILARITY = 0.7
"""How similar a name must be to a known one, without the prefix that they all share."""
_HOST = "_SERVICE_HOST"


@dataclass(frozen=True, slots=True)
class UnknownSetting:
    """A variable that is not a setting, and the name that may be meant."""

    name: str
    suggestion: str | None

    def __str__(self) -> str:
        return f"{self.name} (did you mean {self.suggestion}?)" if self.suggestion else self.name


def unknown_settings(names: Iterable[str]) -> Sequence[UnknownSetting]:
    """The variables that start with `AGENT_ACTORS_` but are not settings, sorted by name."""
    names = list(names)
    # Kubernetes sets variables in every pod for each Service whose name starts with ours.
    services = [name.removesuffix(_HOST) for name in names if name.endswith(_HOST)]
    links = tuple(service + end for service in services for end in ("_SERVICE_", "_PORT"))
    known = {*(variable(field) for field in Settings.model_fields), *OTHERS}
    by_rest = {each.removeprefix(PREFIX): each for each in known}
    unknown: list[UnknownSetting] = []
    for name in sorted(names):
        upper = name.upper()
        if upper.startswith(PREFIX) and upper not in known and not name.startswith(links):
            near = get_close_matches(upper.removeprefix(PREFIX), by_rest, n=1, cutoff=SIMILARITY)
            suggestion = OPTIONS.get(upper) or (by_rest[near[0]] if near else None)
            unknown.append(UnknownSetting(name, suggestion))
    return unknown


def describe(unknown: Sequence[UnknownSetting]) -> str:
    """`unknown setting X (did you mean Y?)`, or `unknown settings X, Y`."""
    noun = "unknown setting" if len(unknown) == 1 else "unknown settings"
    return f"{noun} {', '.join(map(str, unknown))}"


def warning(names: Iterable[str]) -> str | None:
    """The warning about the unknown settings among these variables, if there are any."""
    unknown = unknown_settings(names)
    return f"{describe(unknown)}; docs/settings.md lists them all" if unknown else None


def variable(field: str) -> str:
    """The environment variable of a field; those of Dapr and of model providers have no prefix."""
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else PREFIX + field.upper()
