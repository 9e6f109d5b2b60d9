"""One pod of production, running: Valkey, the sidecar that the injector put beside us, and us.

All as the API server has them: no command, option, address or password is said here.
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
"""The ports in the manifests; one such pod at a time can have them."""


class Deployed:
    """Production in a namespace of its own, and one pod of it.

    Args:
        overlays: To apply it.
        kubelet: To run it.
        namespace: Its name.
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
        """Starts everything, and waits until the service says that it is ready."""
        self.start_valkey()
        self.start_sidecar()
        app = self.start_app()
        app.wait_until(self.ready, 60.0)
        return self

    def start_valkey(self) -> None:
        """Starts Valkey, and waits until it listens."""
        child = self._run(self.valkey_pod, "valkey")
        child.wait_until(lambda: accepts(VALKEY), 10.0)

    def start_sidecar(self) -> Child:
        """Starts the sidecar; it waits for the service."""
        return self._run(self.pod, SIDECAR)

    def start_app(self) -> Child:
        """Starts the service; it is not ready yet."""
        return self._run(self.pod, APP)

    def ready(self) -> bool:
        """Does its readiness probe pass?"""
        return status(API, "/readyz") == 200

    def execute(self, *words: str) -> Child:
        """Runs a command beside the service, in its container, and waits until it has ended."""
        child = self._kubelet.execute(self.pod, APP, *words)
        eventually(lambda: child.code is not None)
        return child

    def metadata(self) -> Object:
        """What the sidecar says of itself."""
        found: Object = httpx2.get(
            f"http://{LOOPBACK}:{DAPR}/v1.0/metadata", trust_env=False
        ).json()
        return found

    def names(self, kind: str) -> set[str]:
        """What our manifests of that kind are called."""
        return {thing["metadata"]["name"] for thing in self.manifests if thing["kind"] == kind}

    def reply(self, content: str) -> str:
        """The reply to what Ada says."""
        answer = self.http.post("/chat/ada", json={"role": "user", "content": content})
        assert answer.status_code == 200, answer.text
        text: str = answer.json()["response"]["content"]
        return text

    def contents(self, path: str, key: str) -> list[str]:
        """What was said, in that list of that route."""
        return [entry["content"] for entry in self.http.get(path).json()[key]]

    def remembered(self, content: str) -> None:
        """Waits until Ada's memory has that."""
        eventually(lambda: content in self.contents("/memory/ada", "memory") or None, 20.0)

    def stop(self) -> None:
        """Ends everything, the service first; the volumes stay."""
        for name in (APP, SIDECAR, "valkey"):
            if name in self.children:
                self.children.pop(name).terminate(20.0)

    def close(self) -> None:
        """Ends everything at once."""
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
