"""The command `agent-actors`: starts the service, and is a client of it.

Commands import what they need when they run, so that `--help` is fast.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from agent_actors.cli.failures import INTERRUPTED, CannotStart, CommandFailed
from agent_actors.errors import StartupError

Command = TypeVar("Command", bound=Callable[..., None])


class Commands(click.Group):
    """The commands, which say in one line why they cannot start.

    Ctrl-C ends each with exit code 130, and a newline for the shell's prompt.
    """

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """Parses the options, and prints the help."""
        with _explained():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command."""
        with _explained():
            return super().invoke(ctx)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except StartupError as error:
        raise CannotStart(str(error)) from None
    except KeyboardInterrupt:
        click.echo(err=True)
        sys.exit(INTERRUPTED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="agent-actors", message="%(prog)s %(version)s")
def main() -> None:
    """AI agents as virtual actors: durable state, one turn at a time."""


def _addressed(command: Command) -> Command:
    """Adds the options of every command that starts the service."""
    options = [
        click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on."),
        click.option(
            "--port",
            default=8000,
            show_default=True,
            type=click.IntRange(0, 65_535),
            help="Port to serve on; 0 picks a free one and prints it.",
        ),
        click.option(
            "--insecure", is_flag=True, help="Serve other machines without asking for a token."
        ),
        click.option(
            "--runtime",
            type=click.Choice(["embedded", "dapr"]),
            help="What runs the actors.  [default: dapr beside a sidecar, else embedded]",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


_app = click.option(
    "--app",
    metavar="MODULE:NAME",
    help="Your own app, such as yours:app, made by create_app.  [default: the built-in agent]",
)
_data = click.option(
    "--data", type=click.Path(path_type=Path), help="Data folder.  [default: .agent-actors]"
)
_url = click.option(
    "--url",
    default="http://127.0.0.1:8000",
    show_default=True,
    envvar="AGENT_ACTORS_URL",
    show_envvar=True,
    help="URL of the service.",
)


@main.command()
@_addressed
@_app
@_data
@click.option(
    "--drain",
    type=click.FloatRange(0, 86_400, min_open=True),
    help="Seconds that running turns get at shutdown.  [default: 7]",
)
@click.option("--reload", is_flag=True, help="Restart when the code changes.")
def dev(  # noqa: PLR0913 - Each is an option of the command.
    host: str,
    port: int,
    *,
    insecure: bool,
    runtime: str | None,
    app: str | None,
    data: Path | None,
    drain: float | None,
    reload: bool,
) -> None:
    """Start the service on this machine, with its data in a folder.

    With --runtime dapr and no sidecar, a local Dapr is started too, if its binaries are installed.
    """
    from agent_actors.settings.environment import require_key_log, require_server

    require_key_log()
    require_server()
    from agent_actors.cli import service

    settings = service.settings(data=data, drain=drain)
    sock = service.listen(host, port, settings, insecure=insecure)
    run = partial(service.reload if reload else service.serve, own=app)
    kind = runtime or service.default_runtime(settings)
    if kind == "dapr" and settings.dapr_http_port is None:
        service.with_local_dapr(run, settings, sock)
    else:
        run(settings, kind, sock)


@main.command()
@_addressed
@_app
def serve(host: str, port: int, *, insecure: bool, runtime: str | None, app: str | None) -> None:
    """Start the service on a server.

    The runtime is dapr if DAPR_HTTP_PORT is set, else embedded.
    """
    from agent_actors.settings.environment import require_key_log, require_server

    require_key_log()
    require_server()
    from agent_actors.cli import service

    settings = service.settings()
    sock = service.listen(host, port, settings, insecure=insecure)
    service.serve(settings, runtime or service.default_runtime(settings), sock, app)


@main.command()
@click.option(
    "--runtime",
    type=click.Choice(["embedded", "dapr"]),
    help="What runs the actors.  [default: dapr beside a sidecar or in a pod, else embedded]",
)
@_data
@click.option(
    "--url",
    envvar="AGENT_ACTORS_URL",
    show_envvar=True,
    help="URL of the service.  [default: where the sidecar expects it, else http://127.0.0.1:8000]",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list of the findings.")
def doctor(*, runtime: str | None, data: Path | None, url: str | None, as_json: bool) -> None:
    """Check everything that the service needs, and say what to do about problems.

    Run it with the environment of the service, which may be running; nothing is changed. Exit code
    0: no check failed, 1: a check failed, 2: a setting is not valid.
    """
    from agent_actors.cli.findings import print_unreadable
    from agent_actors.settings import read
    from agent_actors.settings.environment import require_key_log

    try:
        require_key_log()
        settings = read()
    except StartupError as error:
        if not as_json:
            raise
        print_unreadable(error)
        sys.exit(CannotStart.exit_code)
    from agent_actors.cli.doctor import diagnose

    if not diagnose(settings, runtime or "", url, data, as_json=as_json):
        sys.exit(1)


@main.command()
@click.argument("actor_id")
@click.argument("message", required=False)
@_url
def chat(actor_id: str, message: str | None, url: str) -> None:
    """Send a message, or chat at a prompt (Ctrl-D ends it)."""
    from agent_actors.cli.client import Client

    with Client(url) as client:
        if message is None:
            _converse(client.say, actor_id)
        else:
            click.echo(client.say(actor_id, message))


def _converse(say: Callable[[str, str], str], actor_id: str) -> None:
    """Sends one message after the other; if input is a pipe, a failure also fails the command."""
    terminal, failed = sys.stdin.isatty(), False
    if terminal:
        click.echo("Every line is sent as a message; Ctrl-D ends.", err=True)
    prompt = f"{actor_id}> " if terminal else ""
    click.echo(prompt, nl=False)
    for line in iter(sys.stdin.readline, ""):
        if line.strip():
            try:
                click.echo(say(actor_id, line.rstrip("\n")))
            except CommandFailed as failure:
                failure.show()
                failed = True
        click.echo(prompt, nl=False)
    if terminal:
        click.echo()
    elif failed:
        sys.exit(CommandFailed.exit_code)


@main.command()
@click.argument("actor_id")
@_url
def history(actor_id: str, url: str) -> None:
    """Print a conversation, oldest message first."""
    from agent_actors.cli.client import Client

    with Client(url) as client:
        _show(client.history(actor_id), "{role}: {content}", "No messages yet.")


def _show(rows: Sequence[Mapping[str, Any]], form: str, nothing: str) -> None:
    for row in rows:
        click.echo(form.format_map(row))
    if not rows:
        click.echo(nothing, err=True)


@main.command()
@click.argument("actor_id")
@_url
def notifications(actor_id: str, url: str) -> None:
    """List the SMS notifications of a user, newest first."""
    from agent_actors.cli.client import Client

    with Client(url) as client:
        form = "{at}  {status}  {conversation}  {turn_id}  …{to}"
        _show(client.notifications(actor_id), form, "No notifications.")


@main.group()
def events() -> None:
    """Dead letters: events that could not be applied."""


@events.command()
@_url
def dead(url: str) -> None:
    """List the dead letters, newest first."""
    from agent_actors.cli.client import Client

    with Client(url) as client:
        form = "{id}  {at}  {topic}  tries={tries}  {reason}"
        _show(client.dead(), form, "No dead letters.")


@events.command()
@click.argument("event_id", metavar="ID")
@_url
def requeue(event_id: str, url: str) -> None:
    """Deliver a dead letter again."""
    from agent_actors.cli.client import Client

    with Client(url) as client:
        client.requeue(event_id)
    click.echo(f"Delivered {event_id}.")


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_data
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def backup(file: Path, data: Path | None, *, force: bool) -> None:
    """Copy the database of the embedded runtime to FILE; the service may be running."""
    from agent_actors.cli import snapshot
    from agent_actors.settings import read

    database = snapshot.take(data or read().data, file, force=force)
    click.echo(f"Saved {database} to {file}.")


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@_data
def restore(file: Path, data: Path | None) -> None:
    """Put a backup in the place of the embedded runtime's database; stop the service first.

    The database that is there is kept beside it, under a name with the time. What happened after
    the backup is gone, and may happen again: docs/backup.md.
    """
    from agent_actors.cli import restoration
    from agent_actors.clock import SystemClock
    from agent_actors.settings import read

    database, kept = restoration.restore(file, data or read().data, SystemClock().now())
    click.echo(f"Restored {file} to {database}.")
    if kept:
        click.echo(f"What was there is kept as {', '.join(map(str, kept))}.")
