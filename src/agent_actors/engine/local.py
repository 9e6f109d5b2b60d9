"""The real Dapr for one app on this machine, with its data in a folder."""

import os
import secrets
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from agent_actors.engine import binaries
from agent_actors.engine.components import components_for
from agent_actors.engine.plane import ControlPlane
from agent_actors.engine.redis import RedisServer
from agent_actors.engine.sidecar import SidecarProcess

NAMESPACE = "default"
CONFIGURATION = "configuration.yaml"
"""The file of the kind Configuration among the component files, if there is one."""


class LocalDapr:
    """Redis, control plane and a sidecar; entering starts them, leaving stops them.

    State and reminders stay in the folder, and are found again by the next run.

    Args:
        folder: For data, logs and the component files as the sidecar gets them.
        app_port: Where the app will listen.
        components: The folder of the component files; several are listed as in PATH, and the first
            may have the configuration.
        app_id: The app's name, by which its state is found again.
        servers: Where the servers are, if not where they are looked for.
        app_token: What the sidecar shows the app; by default one of its own for this run.

    Raises:
        StartupError: A server is missing; the text says which, and what to do.
    """

    def __init__(
        self,
        folder: Path,
        app_port: int,
        *,
        components: Path,
        app_id: str = "agents",
        servers: binaries.Binaries | None = None,
        app_token: str | None = None,
    ) -> None:
        found = servers or binaries.find()
        logs = folder / "logs"
        self.app_token = app_token or secrets.token_urlsafe(32)
        self.components = folder / "components"
        self.redis = RedisServer(found.redis, folder / "redis", log=logs / "redis.log")
        self.plane = ControlPlane(found, folder, logs=logs)
        self.sidecar = SidecarProcess(
            found,
            logs,
            self.plane,
            app_id=app_id,
            app_port=app_port,
            namespace=NAMESPACE,
            components=self.components,
            config=self.components / CONFIGURATION if _configured(components) else None,
            app_token=self.app_token,
        )
        self._source = components
        self._started = ExitStack()

    def __enter__(self) -> "LocalDapr":
        """Starts everything; the sidecar then waits for the app.

        Raises:
            StartupError: A server did not start; those that did are stopped.
        """
        with ExitStack() as started:
            started.callback(self.redis.stop)
            self.redis.start()
            components_for(self.redis.address, self._source, self.components)
            started.callback(self.plane.stop)
            self.plane.start()
            started.callback(self.sidecar.stop)
            self.sidecar.start()
            self.sidecar.wait_outbound()
            self._started = started.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._started.close()


def _configured(components: Path) -> bool:
    first, _, _ = str(components).partition(os.pathsep)
    return (Path(first) / CONFIGURATION).is_file()
