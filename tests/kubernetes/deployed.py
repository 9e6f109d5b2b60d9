"""One running pod of production: Valkey, the service, and the sidecar that the injector added.

Commands, options, addresses and passwords are those of the API server's objects.
"""

from contextlib import suppress
from types import TracebackType
from typing import Any

import httpx2

from agent_actors.engine.child import Child
from agent_actors.engine.ports import LOOPBACK, accepts, status
from tests.kubernetes.cluster import Object, eventually
from tests.kubernetes.kubelet import Kubelet
from tests.kubernetes.overlays import BEARER, K8S, Overlays

APP, SIDECAR = "agent-actors", "daprd"
API, DAPR, VALKEY = 8_000, 3_500, 6_379
"""The ports of the manifests; only one such pod can run at a time."""


class Deployed:
    """Production in its own namespace, and one pod of it.

    Args:
        overlays: Applies it.
        kubelet: Runs it.
        namespace: The name of the namespace.
    """

    def __init__(self, overlays: Overlays, kubelet: Kubelet, namespace: str) -> None:
        self._kubelet = kubelet
        self.namespace = overlays.namespace(namespace)
        manifests = overlays.build(K8S / "overlays" / "prod")
        self.manifests = overlays.apply(manifests, namespace)
        self.valkey_pod = overlays.pods(namespace, "valkey")[0]
        self.pod = overlays.pods(namespace)[0]
        self.children: dict[str, Child] = {}
        self.http = httpx2.Client(
            base_url=f"http://{LOOPBACK}:{API}",
            headers={"Authorization": f"Bearer {BEARER}"},
            timeout=30.0,
            trust_env=False,
        )

    def start(self) -> "Deployed":
        """Starts everything and waits until the service is ready."""
        self.start_valkey()
        self.start_sidecar()
        app = self.start_app()
        app.wait_until(self.ready, 60.0)
        return self

    def start_valkey(self) -> None:
        """Starts Valkey and waits until it listens."""
        child = self._run(self.valkey_pod, "valkey")
        child.wait_until(lambda: accepts(VALKEY), 10.0)

    def start_sidecar(self) -> Child:
        """Starts the sidecar, which waits for the service."""
        return self._run(self.pod, SIDECAR)

    def start_app(self) -> Child:
        """Starts the service, without waiting until it is ready."""
        return self._run(self.pod, APP)

    def ready(self) -> bool:
        """Whether its readiness probe succeeds."""
        return status(API, "/readyz") == 200

    def execute(self, *words: str) -> Child:
        """Runs a command in the container of the service and waits for its end."""
        child = self._kubelet.execute(self.pod, APP, *words)
        eventually(lambda: child.code is not None)
        return child

    def metadata(self) -> Object:
        """The metadata of the sidecar."""
        found: Object = httpx2.get(
            f"http://{LOOPBACK}:{DAPR}/v1.0/metadata", trust_env=False
        ).json()
        return found

    def names(self, kind: str) -> set[str]:
        """The names of our manifests of that kind."""
        return {thing["metadata"]["name"] for thing in self.manifests if thing["kind"] == kind}

    def reply(self, content: str) -> str:
        """The reply to a message of Ada."""
        answer = self.http.post("/chat/ada", json={"role": "user", "content": content})
        assert answer.status_code == 200, answer.text
        text: str = answer.json()["response"]["content"]
        return text

    def contents(self, path: str, key: str) -> list[str]:
        """The contents of the messages in a list that a route returns."""
        return [entry["content"] for entry in self.http.get(path).json()[key]]

    def remembered(self, content: str) -> None:
        """Waits until Ada's memory contains a message."""
        eventually(lambda: content in self.contents("/memory/ada", "memory") or None, 20.0)

    def stop(self) -> None:
        """Stops everything, the service first; the volumes stay."""
        for name in (APP, SIDECAR, "valkey"):
            if name in self.children:
                self.children.pop(name).terminate(20.0)

    def close(self) -> None:
        """Kills everything."""
        with suppress(KeyError):
            while True:
                _, child = self.children.popitem()
                child.kill()
        self.http.close()

    def __enter__(self) -> "Deployed":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, pod: Object, name: str) -> Child:
        self.children[name] = self._kubelet.start(pod, name)
        return self.children[name]
