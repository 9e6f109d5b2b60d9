"""Real Dapr for tests: one control plane a session, and clusters that share nothing else.

    engine ── plane: placement, scheduler
      └── cluster: namespace, Redis
            └── replica: the service (or an app of the test's own) and its sidecar

Each of them can be killed, frozen and started again alone. What a test starts is ended when its
cluster is closed; when pytest itself is killed, the guard of `agent_actors.engine` ends it.
"""

import secrets
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from agent_actors.engine import binaries
from agent_actors.engine.child import Child, environment
from agent_actors.engine.components import components_for
from agent_actors.engine.plane import ControlPlane
from agent_actors.engine.ports import free_port, status
from agent_actors.engine.redis import RedisServer
from agent_actors.engine.sidecar import SidecarProcess
from agent_actors.errors import StartupError

ROOT = Path(__file__).parents[2]
COMPONENTS = ROOT / "components"
CONFIGURATION = COMPONENTS / "configuration.yaml"
SERVE = [sys.executable, "-m", "agent_actors", "serve", "--runtime", "dapr"]
DEADLINE = 60.0


class Replica:
    """One process of the app, and its sidecar; both keep their ports.

    Args:
        cluster: What it belongs to.
        folder: For logs.
        command: Starts the app; `--port` and a number are added.
        settings: `AGENT_ACTORS_…` without that prefix, in lower case.
        sidecar: More of what `SidecarProcess` takes.
    """

    def __init__(
        self,
        cluster: "Cluster",
        folder: Path,
        *,
        command: Sequence[str],
        settings: dict[str, Any],
        sidecar: dict[str, Any],
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = cluster.app_token
        folder.mkdir(parents=True, exist_ok=True)
        self.sidecar = SidecarProcess(
            cluster.binaries,
            folder,
            cluster.plane,
            app_id=cluster.app_id,
            app_port=self.port,
            namespace=cluster.namespace,
            components=cluster.components,
            config=cluster.config,
            app_token=cluster.app_token,
            **sidecar,
        )
        self.app = Child(
            [*command, "--port", str(self.port)],
            log=folder / "app.log",
            env=self._environment(settings, sidecar.get("api_token")),
            cwd=folder,
        )

    def _environment(self, settings: dict[str, Any], api_token: str | None) -> dict[str, str]:
        given = {f"AGENT_ACTORS_{key.upper()}": str(settings[key]) for key in settings}
        if api_token is not None:
            given["DAPR_API_TOKEN"] = api_token
        return environment(
            APP_API_TOKEN=self.token,
            DAPR_HTTP_PORT=str(self.sidecar.http_port),
            DAPR_GRPC_PORT=str(self.sidecar.grpc_port),
            PYTHONPATH=f"{ROOT / 'src'}:{ROOT}",
            **given,
        )

    def spawn(self) -> None:
        """Starts the app and the sidecar, whichever does not run; they are not ready yet."""
        self.app.start()
        self.sidecar.start()

    def start(self, *, wait: bool = True, within: float = DEADLINE) -> "Replica":
        """Starts both, and waits until the app says that it is ready."""
        self.spawn()
        if wait:
            self.wait_ready(within)
        return self

    def wait_ready(self, within: float = DEADLINE) -> None:
        """Waits until `/readyz` is 200.

        Raises:
            StartupError: It did not become so; the text has the end of both logs.
        """
        try:
            self.app.wait_until(self.ready, within)
        except StartupError as error:
            raise StartupError(f"{error}\n{self.sidecar.name}:{self.sidecar.tail()}") from None

    def ready(self) -> bool:
        """Does `/readyz` say so?"""
        self.sidecar.check()
        return status(self.port, "/readyz") == 200

    def stop(self, grace: float = 15.0) -> None:
        """Ends the app, then the sidecar, as a deployment does."""
        self.app.terminate(grace)
        self.sidecar.stop()

    def kill(self) -> None:
        """Ends both at once, as when a machine is lost."""
        self.sidecar.kill()
        self.app.kill()

    def freeze(self) -> None:
        """Stops both where they are."""
        self.sidecar.freeze()
        self.app.freeze()

    def thaw(self) -> None:
        """Lets both go on."""
        self.app.thaw()
        self.sidecar.thaw()


class Cluster:
    """Replicas of one app with a Redis and a namespace of their own.

    Args:
        engine: Has the servers and the control plane.
        folder: For data and logs.
        app_id: The name of the app.
        components: The folder of the component files; they get this cluster's Redis.
        config: A file of the kind Configuration, for every sidecar.
        command: Starts the app; `--port` and a number are added.
        settings: `AGENT_ACTORS_…` of every replica, without that prefix, in lower case.
    """

    def __init__(
        self,
        engine: "Engine",
        folder: Path,
        *,
        app_id: str = "agents",
        components: Path = COMPONENTS,
        config: Path | None = CONFIGURATION,
        command: Sequence[str] = SERVE,
        **settings: Any,
    ) -> None:
        self.binaries = engine.require()
        self.plane = engine.whole_plane()
        self.folder = folder
        self.app_id = app_id
        self.namespace = f"test-{secrets.token_hex(4)}"
        self.app_token = secrets.token_urlsafe(16)
        self.config = config
        self.replicas: list[Replica] = []
        self._command = command
        self._settings = settings
        self._started = ExitStack()
        self.redis = RedisServer(self.binaries.redis, folder / "redis")
        self.components = components_for(self.redis.address, components, folder / "components")

    def start(self) -> "Cluster":
        """Starts Redis, and the replicas there are."""
        self._started.callback(self.redis.kill)
        self.redis.start()
        for replica in self.replicas:
            replica.spawn()
        for replica in self.replicas:
            replica.wait_ready()
        return self

    def replica(
        self,
        *,
        command: Sequence[str] | None = None,
        sidecar: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Replica:
        """One more replica; it is not started.

        Args:
            command: Starts another app than the cluster's.
            sidecar: More of what `SidecarProcess` takes: `extra`, `api_token`.
            settings: `AGENT_ACTORS_…` of this one.
        """
        replica = Replica(
            self,
            self.folder / f"replica-{len(self.replicas)}",
            command=command or self._command,
            settings=self._settings | settings,
            sidecar=sidecar or {},
        )
        self._started.callback(replica.kill)
        self.replicas.append(replica)
        return replica

    def close(self) -> None:
        """Ends everything at once. Idempotent."""
        self._started.close()

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Engine:
    """The servers and the one control plane of a session, started when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._plane: ControlPlane | None = None

    @cached_property
    def _found(self) -> binaries.Binaries | StartupError:
        try:
            return binaries.find()
        except StartupError as error:
            return error

    def require(self) -> binaries.Binaries:
        """The servers; without them the test is skipped, with a reason."""
        if isinstance(self._found, StartupError):
            pytest.skip(f"no real Dapr: {self._found}")
        return self._found

    @property
    def plane(self) -> ControlPlane:
        """The control plane; a test that stops a part of it starts it again."""
        if self._plane is None:
            self._plane = ControlPlane(self.require(), self._folder)
            self._plane.start()
        return self._plane

    def whole_plane(self) -> ControlPlane:
        """The control plane, with all its parts running, whatever an earlier test has left."""
        for child in (self.plane.placement, self.plane.scheduler):
            child.thaw()
        self.plane.start()
        return self.plane

    def cluster(self, folder: Path, **arguments: Any) -> Cluster:
        """A cluster of one's own, see `Cluster`; nothing of it is started."""
        return Cluster(self, folder, **arguments)

    def close(self) -> None:
        """Ends the control plane. Its data goes too: the scheduler reserves 60 MB at once."""
        if self._plane is not None:
            self._plane.kill()
            shutil.rmtree(self._folder / "scheduler", ignore_errors=True)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Real Dapr, or a skip where there is none."""
    engine = Engine(tmp_path_factory.mktemp("engine"))
    engine.require()
    yield engine
    engine.close()
