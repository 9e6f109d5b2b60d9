"""`agent-actors`: starts the service, and talks to it from a terminal.

Commands import what they need when they run, so that `--help` answers at once.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from agent_actors.cli.failures import INTERRUPTED, CannotStart, Failure
from agent_actors.errors import StartupError

Command = TypeVar("Command", bound=Callable[..., None])


class Interruptible(click.Group):
    """Ctrl-C ends each command with the exit code that shells know, and a line for their prompt."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """Reads the options, and prints the help."""
        with _interruptible():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command."""
        with _interruptible():
            return super().invoke(ctx)


@contextmanager
def _interruptible() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        click.echo(err=True)
        sys.exit(INTERRUPTED)


@click.group(cls=Interruptible, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="agent-actors", message="%(prog)s %(version)s")
def main() -> None:
    """AI agents as virtual actors: durable state, one turn at a time."""


def _addressed(command: Command) -> Command:
    """The options of every command that starts the service."""
    options = [
        click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on."),
        click.option(
            "--port",
            default=8000,
            show_default=True,
            type=click.IntRange(0, 65_535),
            help="Port to serve on; 0 takes a free one and says which.",
        ),
        click.option(
            "--insecure", is_flag=True, help="Serve other machines too, and ask nobody for a token."
        ),
        click.option(
            "--runtime",
            type=click.Choice(["embedded", "dapr"]),
            help="What carries the actors.  [default: dapr beside a sidecar, else embedded]",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


_data = click.option(
    "--data", type=click.Path(path_type=Path), help="Data folder.  [default: .agent-actors]"
)
_url = click.option(
    "--url",
    default="http://127.0.0.1:8000",
    show_default=True,
    envvar="AGENT_ACTORS_URL",
    show_envvar=True,
    help="Where the service is.",
)


@main.command()
@_addressed
@_data
@click.option(
    "--drain",
    type=click.FloatRange(0, 86_400, min_open=True),
    help="Seconds that running turns get at a stop.  [default: 7]",
)
@click.option("--reload", is_flag=True, help="Start again whenever the code changes.")
def dev(  # noqa: PLR0913 - Each is an option of the command.
    host: str,
    port: int,
    *,
    insecure: bool,
    runtime: str | None,
    data: Path | None,
    drain: float | None,
    reload: bool,
) -> None:
    """Start the service on this machine, with its data in a folder.

    With --runtime dapr and no sidecar about, a real Dapr is started too, if its binaries are there.
    """
    with _starting():
        from agent_actors.cli import service

        settings = service.settings(data=data, drain=drain)
        sock = service.listen(host, port, settings, insecure=insecure)
        run = service.reload if reload else service.serve
        kind = runtime or _runtime_here()
        if kind == "dapr" and settings.dapr_http_port is None:
            service.with_local_dapr(run, settings, sock)
        else:
            run(settings, kind, sock)


@main.command()
@_addressed
def serve(host: str, port: int, *, insecure: bool, runtime: str | None) -> None:
    """Start the service as a server is started.

    On the dapr runtime where DAPR_HTTP_PORT names a sidecar, else on the embedded one.
    """
    with _starting():
        from agent_actors.cli import service

        settings = service.settings()
        sock = service.listen(host, port, settings, insecure=insecure)
        service.serve(settings, runtime or _runtime_here(), sock)


def _runtime_here() -> str:
    return "dapr" if os.environ.get("DAPR_HTTP_PORT") else "embedded"


@contextmanager
def _starting() -> Iterator[None]:
    try:
        yield
    except StartupError as error:
        raise CannotStart(str(error)) from None


@main.command()
@click.option(
    "--runtime",
    type=click.Choice(["embedded", "dapr"]),
    help="What carries the actors.  [default: dapr beside a sidecar or in a pod, else embedded]",
)
@_data
@click.option(
    "--url",
    envvar="AGENT_ACTORS_URL",
    show_envvar=True,
    help="Where the service is.  [default: where the sidecar looks for it, else"
    " http://127.0.0.1:8000]",
)
@click.option("--json", "as_json", is_flag=True, help="For machines: a list of what was found.")
def doctor(*, runtime: str | None, data: Path | None, url: str | None, as_json: bool) -> None:
    """Check what the service needs, and say what to do where it is not so.

    Give it the environment of the service, which may run meanwhile; nothing is changed. Exit code
    0: nothing has failed, 1: something has, 2: a setting cannot be read.
    """
    from agent_actors.cli.doctor import diagnose, meant, unreadable
    from agent_actors.settings import read

    try:
        settings = read()
    except StartupError as error:
        if not as_json:
            raise CannotStart(str(error)) from None
        unreadable(error)
        sys.exit(CannotStart.exit_code)
    if data is not None:
        settings = settings.model_copy(update={"data": data})
    if not diagnose(settings, runtime or meant(_runtime_here(), data), url, as_json=as_json):
        sys.exit(1)


@main.command()
@click.argument("actor_id")
@click.argument("message", required=False)
@_url
def chat(actor_id: str, message: str | None, url: str) -> None:
    """Send a message, or hold a conversation at the prompt (Ctrl-D ends it)."""
    from agent_actors.cli.client import Client

    with Client(url) as client:
        if message is None:
            _converse(client.say, actor_id)
        else:
            click.echo(client.say(actor_id, message))


def _converse(say: Callable[[str, str], str], actor_id: str) -> None:
    """One message after the other; from a pipe, a failed one also fails the command."""
    failed: Failure | None = None
    while (line := _read_line(f"{actor_id}> ")) is not None:
        if not line.strip():
            continue
        try:
            click.echo(say(actor_id, line))
        except Failure as failure:
            failure.show()
            failed = failure
    if failed is not None and not sys.stdin.isatty():
        sys.exit(failed.exit_code)


def _read_line(prompt: str) -> str | None:
    """What was typed, or None at the end; there is no prompt where input comes from a pipe."""
    typed = sys.stdin.isatty()
    if typed:
        click.echo(prompt, nl=False)
    line = sys.stdin.readline()
    if typed and not line:
        click.echo()
    return line.rstrip("\n") if line else None


@main.command()
@click.argument("actor_id")
@_url
def history(actor_id: str, url: str) -> None:
    """Print all that was said in a conversation, oldest first."""
    from agent_actors.cli.client import Client

    with Client(url) as client:
        said = False
        for entry in client.history(actor_id):
            click.echo(f"{entry['role']}: {entry['content']}")
            said = True
    if not said:
        click.echo("Nothing was said yet.", err=True)


@main.command()
@click.argument("actor_id")
@_url
def notifications(actor_id: str, url: str) -> None:
    """List which turns a user was told of by SMS, newest first."""
    from agent_actors.cli.client import Client

    with Client(url) as client:
        told = client.notifications(actor_id)
    for each in told:
        click.echo("{at}  {status}  {conversation}  {turn_id}  …{to}".format_map(each))
    if not told:
        click.echo("There are none.", err=True)


@main.group()
def events() -> None:
    """Events that could not be applied."""


@events.command()
@_url
def dead(url: str) -> None:
    """List the events that were given up, newest first."""
    from agent_actors.cli.client import Client

    with Client(url) as client:
        letters = client.dead()
    for letter in letters:
        click.echo("{id}  {at}  {topic}  tries={tries}  {reason}".format_map(letter))
    if not letters:
        click.echo("There are none.", err=True)


@events.command()
@click.argument("event_id", metavar="ID")
@_url
def requeue(event_id: str, url: str) -> None:
    """Deliver an event again that was given up."""
    from agent_actors.cli.client import Client

    with Client(url) as client:
        client.requeue(event_id)
    click.echo(f"Delivered {event_id}.")


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_data
@click.option("--force", is_flag=True, help="Replace FILE if there is one.")
def backup(file: Path, data: Path | None, *, force: bool) -> None:
    """Copy the data of the embedded runtime to FILE, also while it runs."""
    with _starting():
        from agent_actors.cli import snapshot
        from agent_actors.settings import read

        folder = data or read().data
    database = snapshot.take(folder, file, force=force)
    click.echo(f"Saved {database} to {file}.")
