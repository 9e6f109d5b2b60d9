"""Measured apps with real sidecars: started, asked for their cost, always stopped."""

import http.client
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent_actors.engine.binaries import Binaries
from agent_actors.engine.child import Child, environment
from agent_actors.engine.components import components_for
from agent_actors.engine.plane import ControlPlane
from agent_actors.engine.ports import free_port
from agent_actors.engine.redis import RedisServer
from agent_actors.engine.sidecar import SidecarProcess
from bench.process import HOST, PATIENCE, cpu_of, turn

ROOT = Path(__file__).parents[2]
COMPONENTS = ROOT / "components"
CONFIGURATION = COMPONENTS / "configuration.yaml"
LESSON_CODE = Path(os.environ.get("BENCH_LESSON_CODE", "lesson/main.py")).resolve()
"""The lesson's published code, measured where it lies; nothing of it is in this project."""

IDLE = 0.1
"""The share of a CPU below which a burst is over, with all its events."""
LOOK = 0.1
LONGEST = 10.0


@dataclass(frozen=True, slots=True)
class App:
    """An app that runs with a sidecar.

    Args:
        name: Its app id.
        command: What Python runs; `--port` and a number are added.
        events: Whether failed events are retried and become dead letters. Without it, the
            sidecar has none of our Configuration either.
        settings: Its environment.
    """

    name: str
    command: Sequence[str]
    events: bool = True
    settings: tuple[tuple[str, str], ...] = ()

    def having(self, **settings: object) -> "App":
        """The same app with more settings, named without `AGENT_ACTORS_`."""
        more = ((f"AGENT_ACTORS_{name.upper()}", str(value)) for name, value in settings.items())
        return App(self.name, self.command, self.events, (*self.settings, *more))


SERVICE = App("service", ["-m", "agent_actors", "serve", "--runtime", "dapr"]).having(model="echo")
FLOOR = App("floor", ["-m", "bench.on_dapr.floor"])
# It answers its events with a word that means "failed" to a sidecar: with our retries, each would
# be applied seven times; without them it is applied once, as in the lesson's own setup.
LESSON = App(
    "lesson",
    [
        *("-m", "uvicorn", "main:app", "--app-dir", str(LESSON_CODE.parent)),
        *("--no-access-log", "--timeout-keep-alive", "120", "--log-level", "warning"),
    ],
    events=False,
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of CPU of the app, its sidecar and its Redis."""

    app: float
    daprd: float
    redis: float

    def of_each(self, since: "Cost", turns: int) -> "Cost":
        """The cost of one turn, in milliseconds."""
        pairs = ((self.app, since.app), (self.daprd, since.daprd), (self.redis, since.redis))
        return Cost(*((now - then) / turns * 1e3 for now, then in pairs))


class Replica:
    """One process of an app, and its sidecar."""

    def __init__(self, cluster: "Cluster", folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        token = secrets.token_urlsafe(16)
        self.sidecar = SidecarProcess(
            cluster.dapr.binaries,
            folder,
            cluster.dapr.plane,
            app_id=cluster.app.name,
            app_port=self.port,
            namespace=cluster.namespace,
            components=cluster.components,
            # The lesson publishes by gRPC, which our own Configuration refuses.
            config=CONFIGURATION if cluster.app.events else None,
            app_token=token,
        )
        named = {
            "APP_API_TOKEN": token,
            "DAPR_HTTP_PORT": str(self.sidecar.http_port),
            "DAPR_GRPC_PORT": str(self.sidecar.grpc_port),
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.process = Child(
            [sys.executable, *cluster.app.command, "--port", str(self.port)],
            log=folder / "app.log",
            env=environment(**(named | dict(cluster.app.settings))),
            cwd=folder,
        )

    def start(self) -> None:
        """Starts both; returns when a turn is answered and its event is applied.

        Raises:
            StartupError: One of them ended, or was not ready in time.
        """
        self.process.start()
        self.sidecar.start()
        self.sidecar.wait_ready(PATIENCE)
        first = f"first-{secrets.token_hex(4)}"
        self.process.wait_until(lambda: self._answers(first), PATIENCE)
        self.process.wait_until(lambda: len(self.memory(first)) > 0, PATIENCE)

    def kill(self) -> None:
        """Kills both at once, as when a machine is lost."""
        self.sidecar.kill()
        self.process.kill()

    def memory(self, user: str) -> list[dict[str, str]]:
        """The entries of `GET /memory/{user}`."""
        memory: list[dict[str, str]] = _get(self.port, f"/memory/{user}")["memory"]
        return memory

    def hosted(self, actor_type: str) -> int:
        """How many actors of that type are active in this replica."""
        hosting = _get(self.sidecar.http_port, "/v1.0/metadata")["actorRuntime"]
        return sum(
            each.get("count", 0)
            for each in hosting.get("activeActors", ())
            if each["type"] == actor_type
        )

    def _answers(self, conversation: str) -> bool:
        try:
            turn(self.port, conversation)
        except (OSError, http.client.HTTPException, ValueError, AssertionError):
            return False
        return True


class Cluster:
    """The replicas of one app; `Dapr.hosting` makes it."""

    def __init__(self, dapr: "Dapr", app: App, folder: Path, replicas: int) -> None:
        self.dapr = dapr
        self.app = app
        self.namespace = f"bench-{secrets.token_hex(4)}"
        self.redis = RedisServer(dapr.binaries.redis, folder / "redis")
        source = COMPONENTS if app.events else _without_retries(folder / "source")
        self.components = components_for(self.redis.address, source, folder / "components")
        self.replicas = [Replica(self, folder / f"replica-{n}") for n in range(replicas)]

    @property
    def url(self) -> str:
        """Where the first replica answers `POST /chat/{id}`."""
        return self.replicas[0].url

    @property
    def cost(self) -> Cost:
        """CPU used so far."""
        return Cost(
            sum(cpu_of(replica.process.pid) for replica in self.replicas),
            sum(cpu_of(replica.sidecar.pid) for replica in self.replicas),
            cpu_of(self.redis.pid),
        )

    @property
    def cpu(self) -> float:
        """Seconds of CPU of app and sidecar."""
        return self.cost.app + self.cost.daprd

    def wait_idle(self) -> float:
        """Waits until app and sidecar are idle, at most `LONGEST`; the seconds they were busy."""
        began = time.monotonic()
        busy = 0.0
        while busy < LONGEST:
            before = self.cpu
            time.sleep(LOOK)
            if self.cpu - before < IDLE * LOOK:
                break
            busy = time.monotonic() - began
        return busy


@dataclass(frozen=True, slots=True)
class Dapr:
    """Dapr's servers, with a running control plane."""

    binaries: Binaries
    plane: ControlPlane
    folder: Path

    @contextmanager
    def hosting(self, app: App, *, replicas: int = 1) -> Iterator[Cluster]:
        """Runs replicas of an app; each has answered a turn.

        Raises:
            StartupError: Something did not start; the text has the end of its log.
        """
        folder = Path(tempfile.mkdtemp(prefix=f"{app.name}-", dir=self.folder))
        with ExitStack() as started:
            cluster = Cluster(self, app, folder, replicas)
            started.callback(cluster.redis.kill)
            cluster.redis.start()
            for replica in cluster.replicas:
                started.callback(replica.kill)
                replica.start()
            yield cluster


@contextmanager
def plane(found: Binaries) -> Iterator[Dapr]:
    """The control plane that all apps share, started and stopped."""
    folder = Path(tempfile.mkdtemp(prefix="agent-actors-bench-"))
    control = ControlPlane(found, folder)
    try:
        control.start()
        yield Dapr(found, control, folder)
    finally:
        control.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _without_retries(folder: Path) -> Path:
    """Our store, broker and subscription, without retries."""
    folder.mkdir(parents=True)
    for name in ("statestore.yaml", "daca-pubsub.yaml", "message-subscription.yaml"):
        lines = (COMPONENTS / name).read_text(encoding="utf-8").splitlines(keepends=True)
        kept = "".join(line for line in lines if "deadLetterTopic" not in line)
        (folder / name).write_text(kept, encoding="utf-8")
    return folder


def _get(port: int, path: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        body: dict[str, Any] = json.load(connection.getresponse())
    finally:
        connection.close()
    return body
