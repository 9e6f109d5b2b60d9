"""How a command fails: one line on stderr, and an exit code."""

import click

INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 and the number of SIGINT, as a shell has it."""


class Failure(click.ClickException):
    """The service or the data did not do what was asked."""

    exit_code = 1


class CannotStart(click.ClickException):
    """The command cannot start as it was called."""

    exit_code = 2
