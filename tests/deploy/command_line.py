"""The words of a command, read by our own command line; nothing is run."""

import re
import tomllib
from collections.abc import Sequence
from typing import Any

import click

from agent_actors.cli import main
from tests.deploy.manifests import ROOT


def parsed(words: Sequence[str]) -> dict[str, Any]:
    """What a command of ours would be called with.

    Raises:
        click.UsageError: It is none, or has no such option, argument or value.
    """
    program, *rest = words
    if program not in _programs():
        raise click.UsageError(f"No such program {program!r}.")
    command: click.Command = main
    context = click.Context(command, info_name=program)
    while isinstance(command, click.Group):
        name, *rest = rest or [""]
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"No such command {name!r}.", context)
        command, context = found, click.Context(found, parent=context, info_name=name)
    return command.make_context(command.name, rest, parent=context.parent).params


def mistake(words: Sequence[str]) -> str | None:
    """What our command line has against these words, if anything."""
    try:
        parsed(words)
    except click.UsageError as error:
        return error.format_message()
    except click.exceptions.Exit:
        return "It only prints help."
    return None


def _programs() -> dict[str, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    scripts: dict[str, str] = project["scripts"]
    return scripts


def option(words: Sequence[str], name: str) -> str | None:
    """The value of an option among words, written as two of them."""
    return next((words[at + 1] for at, word in enumerate(words[:-1]) if word == name), None)


def seconds(duration: str) -> int:
    """A duration as Go writes it, of hours, minutes and seconds.

    Raises:
        ValueError: It is none.
    """
    parts = re.findall(r"(\d+)([hms])", duration)
    if not parts or "".join(map("".join, parts)) != duration:
        raise ValueError(duration)
    return sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in parts)
