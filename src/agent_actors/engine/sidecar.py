"""The Dapr sidecar of one app."""

from collections.abc import Sequence
from pathlib import Path

from agent_actors.engine.binaries import Binaries
from agent_actors.engine.child import Child, environment
from agent_actors.engine.plane import ControlPlane
from agent_actors.engine.ports import LOOPBACK, free_port, status

WITHIN = 30.0
LARGEST_BODY = "16Mi"

# By default, sidecars use mDNS, which reaches the whole network. Actors do not need it: placement
# knows where they are.
_QUIET = """\
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata:
  name: quiet
spec:
  nameResolution:
    component: nameformat
    configuration:
      format: "{appid}"
"""


class SidecarProcess(Child):
    """`daprd` beside an app; a restart keeps its ports.

    Its log and its own configuration are in `folder`; `config` is another Configuration's file.
    The app need not be running yet, and has the same `app_id` as its replicas; actors and reminders
    of another `namespace` are invisible. The sidecar sends `app_token`, and the app must send
    `api_token`.
    """

    def __init__(  # noqa: PLR0913 - The options of a sidecar.
        self,
        binaries: Binaries,
        folder: Path,
        plane: ControlPlane,
        *,
        app_id: str,
        app_port: int,
        namespace: str,
        components: Path,
        config: Path | None = None,
        app_token: str | None = None,
        api_token: str | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        self.http_port = free_port()
        self.grpc_port = free_port()
        self._quiet = folder / "quiet.yaml"
        configs = [self._quiet] if config is None else [self._quiet, config]
        options = {
            "app-id": app_id,
            "app-port": str(app_port),
            "app-protocol": "http",
            "app-channel-address": LOOPBACK,
            "dapr-listen-addresses": LOOPBACK,
            "dapr-http-port": str(self.http_port),
            "dapr-grpc-port": str(self.grpc_port),
            "dapr-internal-grpc-port": str(free_port()),
            "dapr-internal-grpc-listen-address": LOOPBACK,
            "enable-metrics": "false",
            "log-level": "info",
            "max-body-size": LARGEST_BODY,
            "resources-path": str(components),
            "config": ",".join(map(str, configs)),
            "placement-host-address": plane.placement.address,
            "scheduler-host-address": plane.scheduler.address,
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        tokens = {"APP_API_TOKEN": app_token, "DAPR_API_TOKEN": api_token}
        given = {name: token for name, token in tokens.items() if token is not None}
        super().__init__(
            [binaries.daprd, *words, *extra],
            log=folder / "daprd.log",
            env=environment(NAMESPACE=namespace, DAPR_HOST_IP=LOOPBACK, **given),
        )

    def start(self) -> None:
        """Starts the sidecar; it is not ready yet.

        Raises:
            StartupError: It cannot be started.
        """
        self._quiet.parent.mkdir(parents=True, exist_ok=True)
        self._quiet.write_text(_QUIET, encoding="utf-8")
        super().start()

    def stop(self, grace: float = 10.0) -> None:
        """Shuts the sidecar down; running turns are cut off."""
        self.terminate(grace)

    def wait_outbound(self, within: float = WITHIN) -> None:
        """Waits until the app may use the sidecar; the app itself need not be running.

        Raises:
            StartupError: It did not become ready; the text has the end of its log.
        """
        self.wait_until(lambda: self._healthy("/v1.0/healthz/outbound"), within)

    def wait_ready(self, within: float = WITHIN) -> None:
        """Waits until the sidecar has the app's actor types and subscriptions.

        Raises:
            StartupError: It did not become ready; the text has the end of its log.
        """
        self.wait_until(lambda: self._healthy("/v1.0/healthz"), within)

    def _healthy(self, path: str) -> bool:
        return status(self.http_port, path) == 204
