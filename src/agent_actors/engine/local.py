"""A local Dapr for one app, with its data in a folder."""

import os
import secrets
from contextlib import ExitStack
from pathlib import Path

from agent_actors.engine import binaries
from agent_actors.engine.components import components_for
from agent_actors.engine.plane import ControlPlane
from agent_actors.engine.redis import RedisServer
from agent_actors.engine.sidecar import SidecarProcess

APP_ID = "agents"
"""The id of the app, which is part of its state's keys."""
CONFIGURATION = "configuration.yaml"
"""The file with the Configuration among the component files, if there is one."""


class LocalDapr:
    """Redis, control plane and a sidecar, as a context manager that starts and stops them.

    State and reminders stay in the folder for the next run, with the logs and the sidecar's copy of
    the component files. Of several folders of component files, separated as in PATH, the first may
    have the Configuration. The sidecar sends `app_token` to the app, by default a random one.

    Raises:
        StartupError: A server is missing; the text says which, and what to do.
    """

    def __init__(
        self,
        folder: Path,
        app_port: int,
        *,
        components: Path,
        servers: binaries.Binaries | None = None,
        app_token: str | None = None,
    ) -> None:
        found = servers or binaries.find()
        first, _, _ = str(components).partition(os.pathsep)
        configured = (Path(first) / CONFIGURATION).is_file()
        logs = folder / "logs"
        self.app_token = app_token or secrets.token_urlsafe(32)
        self.components = folder / "components"
        self.redis = RedisServer(found.redis, folder / "redis", log=logs / "redis.log")
        self.plane = ControlPlane(found, folder, logs=logs)
        self.sidecar = SidecarProcess(
            found,
            logs,
            self.plane,
            app_id=APP_ID,
            app_port=app_port,
            namespace="default",
            components=self.components,
            config=self.components / CONFIGURATION if configured else None,
            app_token=self.app_token,
        )
        self._source = components
        self._started = ExitStack()

    def __enter__(self) -> "LocalDapr":
        """Starts everything; the sidecar waits for the app.

        Raises:
            StartupError: A server did not start; the others are stopped.
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

    def __exit__(self, *_: object) -> None:
        self._started.close()
