"""`agent-actors doctor`: prints what the checks find."""

import asyncio
import logging
from pathlib import Path

import click

from agent_actors.cli.findings import print_json
from agent_actors.clock import SystemClock
from agent_actors.doctor.checks import open_checks, run_checks
from agent_actors.doctor.finding import Context, Findings
from agent_actors.settings import Settings

_COLOURS = {"ok": "green", "warn": "yellow", "FAIL": "red", "skip": "bright_black"}


def diagnose(
    settings: Settings, runtime: str, url: str | None, data: Path | None, *, as_json: bool
) -> bool:
    """Runs the checks and prints each finding as it is made; returns whether none has failed.

    `runtime` is empty if no option names it. With `as_json` it prints one JSON list at the end.
    """
    # The findings repeat what the service would log.
    for name in ("agent_actors", "opentelemetry"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    if data is not None:
        settings = settings.model_copy(update={"data": data})
    context = Context(settings, runtime, SystemClock(), url)
    if not runtime:
        # In a pod, the container's command says `--runtime dapr`, which doctor does not see.
        pod = context.in_pod and data is None
        context.runtime = "dapr" if pod or settings.dapr_http_port is not None else "embedded"
    findings = asyncio.run(_findings(context, show=not as_json))
    if as_json:
        print_json(findings)
    return not any(each.status == "FAIL" for each in findings)


async def _findings(context: Context, *, show: bool) -> Findings:
    findings: Findings = []
    async with open_checks(context) as checks:
        async for finding in run_checks(checks, context):
            findings.append(finding)
            if show:
                status = click.style(f"{finding.status:<5}", fg=_COLOURS[finding.status])
                advice = f" — {finding.advice}" if finding.advice else ""
                click.echo(f"{status} {finding.check:<10} {finding.found}{advice}")
    return findings
