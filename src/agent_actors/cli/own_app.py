"""The app of a user, named as `yours:app`: imported with the options of the command."""

import os
import sys
from importlib import import_module
from pathlib import Path

from agent_actors.app import App
from agent_actors.errors import StartupError
from agent_actors.settings import Settings
from agent_actors.settings.unknown import variable

OPTIONS = ("data", "drain", "hosts", "dapr_http_port", "dapr_grpc_port", "app_api_token")
"""The settings that the command may have changed; the app reads them when it is imported."""


def load(name: str, settings: Settings, kind: str) -> App:
    """Imports the app, which finds these settings in its environment.

    Raises:
        StartupError: There is no such app, or it has another runtime.
    """
    module, _, attribute = name.partition(":")
    if module.endswith(".py") or not all(part.isidentifier() for part in module.split(".")):
        stem = Path(module).stem
        raise StartupError(
            f"--app {name!r} is not MODULE:NAME; for yours.py with `app = create_app(…)`, use"
            f" --app {stem if stem.isidentifier() else 'yours'}:{attribute or 'app'}."
        )
    _export(settings, kind)
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(import_module(module), attribute or "app", None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise StartupError(
            f"--app {name!r}: there is no module {error.name!r} in {here}."
        ) from None
    if not isinstance(found, App):
        what = "is not there" if found is None else f"is of type {type(found).__name__}"
        raise StartupError(
            f"--app {name!r}: {attribute or 'app'} {what}; give the name of what create_app returns"
            " (another app that mounts it is started by uvicorn: docs/mounting.md)."
        )
    if found.state.services.runtime.called_by_sidecar != (kind == "dapr"):
        raise StartupError(f"--app {name!r} has another runtime than {kind}, which was asked for.")
    return found


def _export(settings: Settings, kind: str) -> None:
    for field in OPTIONS:
        value = getattr(settings, field)
        if kind == "embedded" and field.startswith("dapr_"):
            value = None
        if value is None:
            os.environ.pop(variable(field), None)
        else:
            os.environ[variable(field)] = str(value)
