"""How a command fails: one line on stderr, and an exit code."""

import click

INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 + SIGINT, as in a shell."""


class CommandFailed(click.ClickException):
    """The command failed."""

    exit_code = 1


class CannotStart(click.ClickException):
    """The command line or a setting is not valid."""

    exit_code = 2
