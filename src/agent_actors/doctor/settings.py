"""The settings, who may call, and what runs the service: Python, its packages and its limits."""

import sys
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec

from agent_actors.access import Access
from agent_actors.access.hosts import Hosts
from agent_actors.access.origins import parse_origins
from agent_actors.access.rates import Rate
from agent_actors.doctor.actors import actor_types
from agent_actors.doctor.finding import Context, Findings, Report
from agent_actors.doctor.running import ACCESS
from agent_actors.doctor.thread import in_thread
from agent_actors.errors import StartupError
from agent_actors.observability.exporter import require_usable
from agent_actors.protocol.service_info import open_files
from agent_actors.runtime.dapr import DaprRuntime
from agent_actors.settings.environment import require_dapr
from agent_actors.settings.unknown import describe, unknown_settings

FEW_FILES = 1024
"""Open files that a process should be allowed: every connection takes one."""
_REINSTALL = "`pip install --force-reinstall --no-deps dapr`"


async def check_settings(context: Context) -> Findings:
    """What a start would refuse or warn about."""
    report, settings = Report("settings"), context.settings
    found = _refused(context, report)
    if unknown := unknown_settings(context.environment):
        found += report.warn(
            describe(unknown), "correct the name (docs/settings.md lists them all), or remove it"
        )
    return found or report.ok(f"{len(settings.model_fields_set)} set, runtime {context.runtime}")


def _refused(context: Context, report: Report) -> Findings:
    settings, found = context.settings, Findings()
    dapr = context.runtime == "dapr"
    types = actor_types(settings, dapr=dapr)
    for name in settings.actor_types:
        if name not in types:
            found += report.fail(
                f"AGENT_ACTORS_ACTOR_TYPES: unknown actor type {name!r}",
                f"use one of {', '.join(sorted(types))}",
            )
    if not dapr and settings.orchestration == "workflow":
        found += report.fail(
            "AGENT_ACTORS_ORCHESTRATION=workflow needs Dapr", "unset it, or run on Dapr"
        )
    try:
        require_dapr(workflow=settings.orchestration == "workflow")
    except StartupError as error:
        found += report.fail(*str(error).rstrip(".").split("; ", 1))
    try:
        require_usable(_version("agent-actors"))
    except StartupError as error:
        found += report.fail(str(error).rstrip("."), "see docs/observability.md")
    if dapr and settings.dapr_http_port is not None:
        try:
            DaprRuntime.open(settings, context.clock)
        except StartupError as error:
            found += report.fail(str(error).rstrip("."), "see docs/dapr.md")
    return found


async def check_access(context: Context) -> Findings:
    """Tokens, hosts, rate and origins can be parsed, and at least one caller has access.

    Who may call is what the running service says, if it does.
    """
    return [*_callbacks(context), *await in_thread(lambda: _access(context))]


def _callbacks(context: Context) -> Findings:
    """On Dapr, the token that keeps others from calling actors."""
    report, told = Report("access"), context.told
    advice = "set the same token for service, sidecar and doctor"
    if told.runtime == "dapr" and told.sidecar_token is False:
        return report.warn(
            "the service has no APP_API_TOKEN: anyone who reaches its port can call actors", advice
        )
    sidecar = context.runtime == "dapr" and context.settings.dapr_http_port is not None
    if sidecar and context.settings.app_api_token is None and told.sidecar_token is None:
        return report.warn(
            "APP_API_TOKEN is not set here; if the service has none, anyone who reaches its port"
            " can call actors",
            advice,
        )
    return []


def _access(context: Context) -> Findings:
    report, settings = Report("access"), context.settings
    try:
        access = Access.open(settings, context.clock)
        Hosts.parse(settings.hosts)
        if settings.rate_limit is not None:
            Rate.read(settings.rate_limit)
        if settings.cors_origins is not None:
            parse_origins(settings.cors_origins)
    except StartupError as error:
        return report.fail(str(error).rstrip("."), "correct that setting (docs/security.md)")
    if access is not None and context.runtime == "dapr" and settings.app_api_token is None:
        return report.fail(
            "access control needs APP_API_TOKEN, or the callbacks bypass it",
            "set the same token for service, sidecar and doctor",
        )
    if context.told.access in ACCESS:
        return report.ok(f"{ACCESS[context.told.access]}, says the service")
    if access is not None:
        return report.ok("callers need a token")
    if settings.access == "off":
        return report.ok("access control is off: anyone who reaches the port may call")
    return report.ok("no token needed; without --insecure the service listens on this machine only")


def _installed() -> list[str]:
    return [each.name for each in distributions()]


async def check_python(
    _: Context,
    installed: Callable[[], Iterable[str]] = _installed,
    find: Callable[[str], object] = find_spec,
) -> Findings:
    """No other distribution has overwritten or removed files of dapr."""
    report = Report("python")
    # dapr 1.19 contains `dapr.ext`, which older releases of the extensions also contain: whichever
    # was installed last wins, and uninstalling either removes the files of both.
    normal = {name: name.lower().replace("_", "-").replace(".", "-") for name in installed()}
    legacy = sorted(name for name in normal if normal[name].startswith("dapr-ext-"))
    if legacy:
        return report.fail(
            f"{', '.join(legacy)} is installed beside dapr, and has the same files",
            f"`pip uninstall {' '.join(legacy)}`, then {_REINSTALL}",
        )
    if find("dapr.ext.fastapi") is None:
        return report.fail("dapr has no dapr.ext.fastapi: its files were removed", _REINSTALL)
    python = ".".join(map(str, sys.version_info[:3]))
    return report.ok(
        f"Python {python}, dapr {_version('dapr')}, agent-actors {_version('agent-actors')}"
    )


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "of unknown version"


async def check_limits(context: Context, open_files: Callable[[], float] = open_files) -> Findings:
    """The running service may open as many connections as it needs, or else this process."""
    report, told = Report("limits"), context.told
    try:
        files = told.open_files if told.open_files is not None else open_files()
    except ImportError:
        return report.skip("this system has no limit of open files that could be read")
    whose = " in the service" if told.open_files is not None else ""
    if files < FEW_FILES:
        return report.warn(
            f"at most {files:g} open files{whose}, and each connection takes one",
            f"run `ulimit -n 65536` before the start (at least {FEW_FILES})",
        )
    return report.ok(f"at most {files:g} open files{whose}")
