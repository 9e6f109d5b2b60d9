"""Dapr's control plane: placement knows who hosts an actor, scheduler stores the reminders."""

from contextlib import ExitStack
from pathlib import Path

from agent_actors.engine.binaries import Binaries
from agent_actors.engine.child import environment
from agent_actors.engine.ports import LOOPBACK, accepts, free_port, status
from agent_actors.engine.server import Server


class _PlaneServer(Server):
    """A server of the control plane.

    In Dapr 1.18 its health port listens on every interface, whatever the flags. It reveals only
    whether the server is ready.
    """

    def __init__(
        self, binary: Path, options: dict[str, str], *, log: Path, folder: Path | None = None
    ) -> None:
        port, self._health = free_port(), free_port()
        everywhere = {
            "port": str(port),
            "listen-address": LOOPBACK,
            "healthz-port": str(self._health),
            "healthz-listen-address": LOOPBACK,
            "enable-metrics": "false",
            "tls-enabled": "false",
        }
        words = [f"--{name}={value}" for name, value in (everywhere | options).items()]
        # The scheduler names its data after this namespace, which is not that of the apps.
        env = environment(NAMESPACE="default")
        super().__init__([binary, *words], port=port, log=log, within=60.0, env=env, folder=folder)

    def ready(self) -> bool:
        """Is it ready?"""
        return status(self._health, "/healthz") == 200 and accepts(self.port)


class Placement(_PlaneServer):
    """The placement server; after a restart, the sidecars register again."""

    def __init__(self, binary: Path, logs: Path) -> None:
        # Raft in memory with one member: no data on disk and no election.
        options = {"id": "p0", "initial-cluster": f"p0={LOOPBACK}:{free_port()}"}
        super().__init__(binary, options, log=logs / "placement.log")


class Scheduler(_PlaneServer):
    """The scheduler; its reminders are in a folder, and survive a restart."""

    def __init__(self, binary: Path, folder: Path, logs: Path) -> None:
        data = folder / "scheduler"
        options = {
            "id": "s0",
            "etcd-data-dir": str(data),
            "etcd-client-port": str(free_port()),
            "etcd-client-listen-address": LOOPBACK,
            "etcd-initial-cluster": f"s0=http://{LOOPBACK}:{free_port()}",
            "identity-directory-write": str(data / "identity"),
        }
        super().__init__(binary, options, log=logs / "scheduler.log", folder=data)

    def ready(self) -> bool:
        """Can reminders be registered?

        Only its log tells: its health is good before that. A registration then waits, for about
        20 s after a scheduler was killed, until its successor may take over.
        """
        return super().ready() and self.logged("Cron is ready")


class ControlPlane:
    """Placement and scheduler; each can also be stopped and started alone.

    The reminders are in the folder, and so are the logs, unless they have another.
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
