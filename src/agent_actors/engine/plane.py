"""Dapr's control plane: placement knows who hosts an actor, scheduler stores the reminders."""

from contextlib import ExitStack
from pathlib import Path

from agent_actors.engine.binaries import Binaries
from agent_actors.engine.child import Child, environment
from agent_actors.engine.ports import LOOPBACK, accepts, free_port, status

WITHIN = 60.0
_REGISTERS = "Cron is ready"


class _Server(Child):
    """A server of the control plane.

    In Dapr 1.18 its health port listens on every interface, whatever the flags. It reveals only
    whether the server is ready.
    """

    def __init__(
        self, binary: Path, options: dict[str, str], *, log: Path, lock: Path | None
    ) -> None:
        self.port = free_port()
        self._health = free_port()
        everywhere = {
            "port": str(self.port),
            "listen-address": LOOPBACK,
            "healthz-port": str(self._health),
            "healthz-listen-address": LOOPBACK,
            "enable-metrics": "false",
            "tls-enabled": "false",
        }
        words = [f"--{name}={value}" for name, value in (everywhere | options).items()]
        # The scheduler names its data after this namespace, which is not that of the apps.
        env = environment(NAMESPACE="default")
        super().__init__([binary, *words], log=log, env=env, lock=lock)

    @property
    def address(self) -> str:
        """Host and port, as a sidecar expects them."""
        return f"{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Starts the server and waits until it is ready.

        Raises:
            StartupError: It did not start; the text has the end of its log.
        """
        self.spawn()
        self.wait()

    def spawn(self) -> None:
        """Starts the server; it is not ready yet."""
        super().start()

    def stop(self) -> None:
        """Shuts the server down."""
        self.terminate()

    def wait(self) -> None:
        """Waits until it is ready.

        Raises:
            StartupError: It did not become ready; the text has the end of its log.
        """
        self.wait_until(self.ready, WITHIN)

    def ready(self) -> bool:
        """Is it ready?"""
        return status(self._health, "/healthz") == 200 and accepts(self.port)


class Placement(_Server):
    """The placement server; after a restart, the sidecars register again."""

    def __init__(self, binary: Path, logs: Path) -> None:
        # Raft in memory with one member: no data on disk and no election.
        options = {"id": "p0", "initial-cluster": f"p0={LOOPBACK}:{free_port()}"}
        super().__init__(binary, options, log=logs / "placement.log", lock=None)


class Scheduler(_Server):
    """The scheduler; its reminders are in a folder, and survive a restart."""

    def __init__(self, binary: Path, folder: Path, logs: Path) -> None:
        self._data = folder / "scheduler"
        options = {
            "id": "s0",
            "etcd-data-dir": str(self._data),
            "etcd-client-port": str(free_port()),
            "etcd-client-listen-address": LOOPBACK,
            "etcd-initial-cluster": f"s0=http://{LOOPBACK}:{free_port()}",
            "identity-directory-write": str(self._data / "identity"),
        }
        lock = self._data / "lock"
        super().__init__(binary, options, log=logs / "scheduler.log", lock=lock)

    def spawn(self) -> None:
        """Starts the server; it is not ready yet."""
        self._data.mkdir(parents=True, exist_ok=True, mode=0o700)
        super().spawn()

    def ready(self) -> bool:
        """Can reminders be registered?

        Only its log tells: its health is good before that. A registration then waits, for about
        20 s after a scheduler was killed, until its successor may take over.
        """
        return super().ready() and self.logged(_REGISTERS)


class ControlPlane:
    """Placement and scheduler; each can also be stopped and started alone.

    Args:
        binaries: Where the servers are.
        folder: The folder of the reminders, and of the logs by default.
        logs: The folder of the logs.
    """

    def __init__(self, binaries: Binaries, folder: Path, *, logs: Path | None = None) -> None:
        self.placement = Placement(binaries.placement, logs or folder)
        self.scheduler = Scheduler(binaries.scheduler, folder, logs or folder)

    def start(self) -> None:
        """Starts both, and waits until both are ready.

        Raises:
            StartupError: One did not start, and neither is left running; the text has its log.
        """
        with ExitStack() as started:
            started.callback(self.kill)
            self.placement.spawn()
            self.scheduler.spawn()
            self.placement.wait()
            self.scheduler.wait()
            started.pop_all()

    def stop(self) -> None:
        """Shuts both down; reminders are kept."""
        self.scheduler.stop()
        self.placement.stop()

    def kill(self) -> None:
        """Kills both."""
        self.scheduler.kill()
        self.placement.kill()
