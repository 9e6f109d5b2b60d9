"""Our manifests as kustomize builds them, and the secrets that they need."""

import json
from pathlib import Path

import yaml

from tests.kubernetes.cluster import Cluster, Object, eventually
from tests.kubernetes.kubelet import documents

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
OVERLAYS = sorted(path.parent.name for path in K8S.glob("overlays/*/kustomization.yaml"))
COMPONENTS = sorted(path.parent.name for path in K8S.glob("components/*/kustomization.yaml"))
TOKEN = "the app token of these tests"
PASSWORD = "the password of these tests"
BEARER = "token-of-ada-in-these-tests"
SECRETS = {
    "agent-actors-app-token": {"token": TOKEN},
    "valkey": {"password": PASSWORD},
    "agent-actors-access": {"tokens.json": json.dumps([{"token": BEARER, "subject": "ada"}])},
    "twilio-credentials": {"accountSid": "AC1", "authToken": "secret", "fromNumber": "+15550100"},
}


class Overlays:
    """Applies the overlays to a cluster, as a person would.

    Args:
        cluster: A cluster with Dapr's CRDs and webhooks.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._built: dict[Path, str] = {}

    def build(self, folder: Path) -> str:
        """The output of kustomize for a folder.

        Raises:
            Refused: Kustomize failed or warned.
        """
        if folder not in self._built:
            self._built[folder] = self.cluster.kubectl("kustomize", str(folder))
        return self._built[folder]

    def namespace(self, name: str) -> str:
        """Creates a namespace like ours, with another name and with the secrets."""
        namespace = documents((K8S / "namespace.yaml").read_text(encoding="utf-8"))[0]
        namespace["metadata"]["name"] = name
        secrets = [_secret(secret, name) for secret in SECRETS]
        self.cluster.apply(yaml.safe_dump_all([namespace, *secrets]), name)
        # Until it exists, pods are refused.
        eventually(lambda: self.cluster.find("serviceaccount", "default", name))
        return name

    def apply(self, manifests: str, namespace: str) -> list[Object]:
        """Applies manifests and returns their objects.

        Raises:
            Refused: The API server refused an object or warned.
        """
        self.cluster.apply(manifests, namespace)
        return documents(manifests)

    def with_component(self, component: str, folder: Path) -> Path:
        """Writes a kustomization of production with a component into a folder."""
        own = folder / component
        own.mkdir()
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [str(_relative(K8S / "overlays" / "prod", own))],
            "components": [str(_relative(K8S / "components" / component, own))],
        }
        (own / "kustomization.yaml").write_text(json.dumps(kustomization), encoding="utf-8")
        return own

    def pods(self, namespace: str, name: str = "agent-actors") -> list[Object]:
        """The pods of one app, as soon as the controllers have created them."""
        selector = f"app.kubernetes.io/name={name}"
        return eventually(lambda: self.cluster.objects("pods", namespace, selector))


def _secret(name: str, namespace: str) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": SECRETS[name]}


def _relative(path: Path, start: Path) -> Path:
    """A relative path: kustomize refuses absolute ones."""
    ups = [".."] * len(start.resolve().relative_to("/").parts)
    return Path(*ups, *path.resolve().relative_to("/").parts)
