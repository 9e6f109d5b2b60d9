"""`agent-actors doctor`: prints what the checks find, and says by its exit code how it stands."""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from agent_actors.clock import SystemClock
from agent_actors.doctor.checks import in_pod, opened
from agent_actors.doctor.examination import examine
from agent_actors.doctor.finding import Finding, Report
from agent_actors.doctor.settings import SettingsCheck
from agent_actors.errors import StartupError
from agent_actors.settings import Settings

_WIDTH = 10
_COLOURS = {"ok": "green", "warn": "yellow", "FAIL": "red", "skip": "bright_black"}

Show = Callable[[Finding], None]


def meant(here: str, data: Path | None) -> str:
    """The runtime to look at where none was named; `here` is what a start would take.

    In a pod the command of the container names dapr, and whoever asks does not see it: without the
    sidecar, that is what is to be found out. A folder for data says embedded.
    """
    return "dapr" if in_pod() and data is None else here


def diagnose(settings: Settings, runtime: str, url: str | None, *, as_json: bool) -> bool:
    """Prints a line for each finding as it is made; is nothing of it a failure?"""
    # Its findings say it in words for people; the log would say it once more.
    for name in ("agent_actors", "opentelemetry"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    findings = asyncio.run(_findings(settings, runtime, url, _ignore if as_json else _show))
    if as_json:
        _print(findings)
    return not any(each.status == "FAIL" for each in findings)


def unreadable(error: StartupError) -> None:
    """For machines: a setting cannot be read, so that nothing else can be looked at."""
    _print(Report(SettingsCheck.name).fail(str(error).rstrip("."), "docs/settings.md has its form"))


def _print(findings: Sequence[Finding]) -> None:
    click.echo(json.dumps([asdict(each) for each in findings], indent=2, ensure_ascii=False))


async def _findings(settings: Settings, runtime: str, url: str | None, show: Show) -> list[Finding]:
    clock = SystemClock()
    found: list[Finding] = []
    async with opened(settings, runtime, url, clock) as checks:
        async for finding in examine(checks, clock):
            show(finding)
            found.append(finding)
    return found


def _show(finding: Finding) -> None:
    status = click.style(f"{finding.status:<5}", fg=_COLOURS[finding.status])
    advice = f" — {finding.advice}" if finding.advice else ""
    click.echo(f"{status} {finding.check:<{_WIDTH}} {finding.found}{advice}")


def _ignore(_: Finding) -> None: ...
