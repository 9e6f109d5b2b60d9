"""Doctor's findings as JSON, also where the checks cannot even be imported."""

import json
from dataclasses import asdict

import click

from agent_actors.doctor.finding import Findings, Report
from agent_actors.errors import StartupError


def print_unreadable(error: StartupError) -> None:
    """The JSON report if the settings cannot be read, so that nothing else can be checked."""
    print_json(Report("settings").fail(str(error).rstrip("."), "see docs/settings.md"))


def print_json(findings: Findings) -> None:
    """Prints the findings as one JSON list."""
    click.echo(json.dumps([asdict(each) for each in findings], indent=2, ensure_ascii=False))
