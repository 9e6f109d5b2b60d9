"""The settings, and what runs them: Python, its packages, its limits."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec

from agent_actors.clock import Clock
from agent_actors.doctor.actors import types
from agent_actors.doctor.finding import Finding, Report
from agent_actors.doctor.variables import misspelt
from agent_actors.errors import StartupError
from agent_actors.observability.exporter import require_usable
from agent_actors.runtime.dapr import DaprRuntime
from agent_actors.settings import Settings

FEW_FILES = 1024
"""Open files that a process should be allowed: each connection, of either side, takes one."""
_LEGACY = "dapr-ext-"
_BUNDLED = "dapr.ext.fastapi"
_REINSTALL = "`pip install --force-reinstall --no-deps dapr`"


class SettingsCheck:
    """The settings are those that a start takes, and nothing that looks like one is ignored.

    Args:
        settings: As they were read.
        runtime: What carries the actors.
        clock: The time, which a runtime wants to be given.
        environment: The variables of this process.
    """

    name = "settings"

    def __init__(
        self,
        settings: Settings,
        runtime: str,
        clock: Clock,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._settings = settings
        self._runtime = runtime
        self._clock = clock
        self._environment = environment
        self._report = Report(self.name)

    async def look(self) -> Sequence[Finding]:
        """What a start would refuse, and what it would only warn of; else how many are set."""
        found = [*self._refused(), *self._warned()]
        given = len(self._settings.model_fields_set)
        return found or self._report.ok(f"{given} given, runtime {self._runtime}")

    def _refused(self) -> Iterator[Finding]:
        settings = self._settings
        known = types(settings, dapr=self._runtime == "dapr")
        for name in settings.actor_types:
            if name not in known:
                yield from self._report.fail(
                    f"AGENT_ACTORS_ACTOR_TYPES: there is no actor type {name!r}",
                    f"there are {', '.join(sorted(known))}",
                )
        if self._runtime == "embedded" and settings.orchestration == "workflow":
            yield from self._report.fail(
                "AGENT_ACTORS_ORCHESTRATION=workflow needs Dapr", "leave it out, or run on Dapr"
            )
        try:
            require_usable(_ours())
        except StartupError as error:
            yield from self._report.fail(str(error).rstrip("."), "docs/observability.md tells more")
        if self._runtime == "dapr" and settings.dapr_http_port is not None:
            try:
                DaprRuntime.open(settings, self._clock)
            except StartupError as error:
                yield from self._report.fail(str(error).rstrip("."), "docs/dapr.md has the reasons")

    def _warned(self) -> Iterator[Finding]:
        unknown = misspelt(self._environment)
        if unknown:
            yield from self._report.warn(
                f"nobody reads {', '.join(map(str, unknown))}",
                "spell it as docs/settings.md does, or remove it",
            )
        beside = self._runtime == "dapr" and self._settings.dapr_http_port is not None
        if beside and self._settings.app_api_token is None:
            yield from self._report.warn(
                "APP_API_TOKEN is not set here; a service without it lets who reaches its port call"
                " actors",
                "set the same one for service, sidecar and doctor",
            )


def _installed() -> list[str]:
    return [each.name for each in distributions()]


class PythonCheck:
    """The packages are those that this release was made for.

    Args:
        installed: Names the distributions that are there.
        findable: Says whether a module is there.
    """

    name = "python"

    def __init__(
        self,
        installed: Callable[[], Iterable[str]] = _installed,
        findable: Callable[[str], object] = find_spec,
    ) -> None:
        self._installed = installed
        self._findable = findable

    async def look(self) -> Sequence[Finding]:
        """Versions, or which two packages write the same files."""
        report = Report(self.name)
        legacy = sorted({name for name in self._installed() if _normal(name).startswith(_LEGACY)})
        if legacy:
            # Both have the files of `dapr.ext`: whichever came last has won, and whichever goes
            # takes them along.
            return report.fail(
                f"{', '.join(legacy)} is installed beside dapr, which has the same files",
                f"`pip uninstall {' '.join(legacy)}`, then {_REINSTALL}",
            )
        if self._findable(_BUNDLED) is None:
            return report.fail(f"dapr has no {_BUNDLED}: its files were removed", _REINSTALL)
        numbers = ".".join(map(str, sys.version_info[:3]))
        return report.ok(f"Python {numbers}, dapr {_version('dapr')}, agent-actors {_ours()}")


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "of unknown version"


def _ours() -> str:
    return _version("agent-actors")


def _open_files() -> float:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if soft == resource.RLIM_INFINITY else soft


class LimitsCheck:
    """The process may have as many connections as it needs.

    Args:
        open_files: How many files it may open; infinite where nobody counts.
    """

    name = "limits"

    def __init__(self, open_files: Callable[[], float] = _open_files) -> None:
        self._open_files = open_files

    async def look(self) -> Sequence[Finding]:
        """How many open files there may be."""
        report = Report(self.name)
        try:
            files = self._open_files()
        except ImportError:
            return report.skip("this system does not say how many files may be open")
        if files < FEW_FILES:
            return report.warn(
                f"{files:g} open files at most, and each connection is one",
                f"`ulimit -n 65536` before the start (at least {FEW_FILES})",
            )
        return report.ok(f"{files:g} open files at most")
