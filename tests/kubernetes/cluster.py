"""A real Kubernetes API server with its controllers, but without nodes: no pod ever runs.

    Cluster: etcd ── kube-apiserver ── kube-controller-manager

Ports are fixed, because the tests have their own network (`apart.py`).
"""

import json
import shutil
import ssl
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any, TypeVar

import yaml

from agent_actors.engine.child import Child, environment
from agent_actors.engine.ports import LOOPBACK
from tests.kubernetes.certificates import Authority

WITHIN = 60.0
API_PORT = 26_443
SERVICES = "127.10.0.0/24"
"""On loopback, because the API server calls webhooks at the address of their Service."""

_ETCD, _ETCD_PEER, _CONTROLLER = 23_790, 23_800, 20_257
_ISSUER = "https://kubernetes.default.svc.cluster.local"
_pause = Event()

Object = dict[str, Any]
Found = TypeVar("Found")


class Refused(Exception):
    """A command failed or warned; the text is its output."""


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a command."""

    code: int
    out: str
    err: str


def eventually(probe: Callable[[], Found | None], within: float = WITHIN) -> Found:
    """Waits until the probe finds something, and returns that."""
    end = monotonic() + within
    while not (found := probe()):
        if monotonic() > end:
            raise AssertionError(f"not within {within:g} s")
        _pause.wait(0.05)
    return found


class Cluster:
    """One cluster with all of its files in one folder.

    Args:
        servers: The folder of the servers, see `tools/kubernetes_servers.py`.
        folder: For data, logs and keys.
    """

    def __init__(self, servers: Path, folder: Path) -> None:
        self.servers = servers
        self.folder = folder
        self._started = ExitStack()
        self._authority = Authority(folder)
        self._certificates()
        self.admin = self._kubeconfig("admin")
        self._etcd = self._child("etcd", _ETCD_OPTIONS | {"data-dir": str(folder / "etcd")})
        self._api = self._child("kube-apiserver", self._api_options())
        self._controller = self._child("kube-controller-manager", self._controller_options())

    @property
    def certificate(self) -> Path:
        """The certificate that proves the API server's identity."""
        return self._authority.certificate

    def start(self) -> None:
        """Starts the three servers and waits until objects can be written."""
        for child in (self._etcd, self._api):
            self.own(child)
        self._api.wait_until(self._ready, WITHIN)
        self.own(self._controller)
        eventually(lambda: self.find("serviceaccount", "default", "default"))

    def own(self, child: Child) -> Child:
        """Starts a process that is stopped with the cluster."""
        self._started.callback(child.kill)
        child.start()
        return child

    def close(self) -> None:
        """Kills everything in reverse order; logs stay. Idempotent."""
        self._started.close()
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)  # It reserves 64 MB at once.

    def run(self, program: str, *words: str, given: str | None = None) -> Done:
        """Runs `kubectl` or `helm` as the administrator."""
        done = subprocess.run(
            [self.servers / program, *words],
            input=given,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            env=environment(KUBECONFIG=str(self.admin), HOME=str(self.folder)),
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def kubectl(self, *words: str, given: str | None = None) -> str:
        """Runs `kubectl` and returns what it prints.

        Raises:
            Refused: It failed or warned, because nobody would read a warning.
        """
        done = self.run("kubectl", *words, given=given)
        if done.code or done.err.strip():
            raise Refused(f"kubectl {' '.join(words)}: {done.err.strip()}")
        return done.out

    def apply(self, manifests: str, namespace: str = "default") -> str:
        """Applies objects server-side with strict validation, which refuses unknown fields.

        Raises:
            Refused: The API server refused an object or warned.
        """
        options = ["--server-side", "--validate=strict", "-n", namespace]
        return self.kubectl("apply", *options, "-f", "-", given=manifests)

    def get(self, kind: str, name: str, namespace: str = "default") -> Object:
        """One object.

        Raises:
            Refused: It does not exist.
        """
        found: Object = json.loads(self.kubectl("get", kind, name, "-n", namespace, "-o", "json"))
        return found

    def find(self, kind: str, name: str, namespace: str = "default") -> Object | None:
        """One object, or None if it does not exist."""
        try:
            return self.get(kind, name, namespace)
        except Refused as error:
            if "NotFound" in str(error):
                return None
            raise

    def objects(self, kind: str, namespace: str, selector: str = "") -> list[Object]:
        """All objects of a kind with these labels."""
        words = ["get", kind, "-n", namespace, "-l", selector, "-o", "json"]
        items: list[Object] = json.loads(self.kubectl(*words))["items"]
        return items

    def existing(self, manifests: str, namespace: str) -> list[Object]:
        """The current state of those objects.

        Raises:
            Refused: One does not exist.
        """
        out = self.kubectl("get", "-n", namespace, "-o", "json", "-f", "-", given=manifests)
        items: list[Object] = json.loads(out)["items"]
        return items

    def _certificates(self) -> None:
        names = ["localhost", "kubernetes.default.svc"]
        self._authority.server("apiserver", names=names, addresses=[LOOPBACK, "127.10.0.1"])
        self._authority.client("admin", user="admin", group="system:masters")
        self._authority.client("controller", user="system:kube-controller-manager")
        self._authority.keys("accounts")

    def _kubeconfig(self, name: str) -> Path:
        server = {
            "server": f"https://{LOOPBACK}:{API_PORT}",
            "certificate-authority": str(self.certificate),
        }
        keys = {"client-certificate": self._file(f"{name}.crt")}
        keys["client-key"] = self._file(f"{name}.key")
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": server}],
            "users": [{"name": name, "user": keys}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "current-context": "test",
        }
        path = self.folder / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return path

    def _child(self, name: str, options: dict[str, str]) -> Child:
        words = [f"--{key}={options[key]}" for key in options]
        return Child([self.servers / name, *words], log=self.folder / f"{name}.log")

    def _file(self, name: str) -> str:
        return str(self.folder / name)

    def _api_options(self) -> dict[str, str]:
        return {
            "etcd-servers": f"http://{LOOPBACK}:{_ETCD}",
            "bind-address": LOOPBACK,
            "advertise-address": LOOPBACK,
            "secure-port": str(API_PORT),
            "endpoint-reconciler-type": "none",
            "tls-cert-file": self._file("apiserver.crt"),
            "tls-private-key-file": self._file("apiserver.key"),
            "client-ca-file": self._file("ca.crt"),
            "authorization-mode": "Node,RBAC",
            "service-account-key-file": self._file("accounts.pub"),
            "service-account-signing-key-file": self._file("accounts.key"),
            "service-account-issuer": _ISSUER,
            "service-cluster-ip-range": SERVICES,
            "allow-privileged": "true",
            "enable-admission-plugins": "NodeRestriction",
        }

    def _controller_options(self) -> dict[str, str]:
        kubeconfig = str(self._kubeconfig("controller"))
        return {
            "kubeconfig": kubeconfig,
            "authentication-kubeconfig": kubeconfig,
            "authorization-kubeconfig": kubeconfig,
            "bind-address": LOOPBACK,
            "secure-port": str(_CONTROLLER),
            "leader-elect": "false",
            "horizontal-pod-autoscaler-sync-period": "1s",  # The default is 15 s.
            "service-account-private-key-file": self._file("accounts.key"),
            "root-ca-file": self._file("ca.crt"),
            "use-service-account-credentials": "true",
        }

    def _ready(self) -> bool:
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.load_cert_chain(self._file("admin.crt"), self._file("admin.key"))
        connection = HTTPSConnection(LOOPBACK, API_PORT, timeout=1.0, context=context)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


_ETCD_OPTIONS = {
    "name": "test",
    "unsafe-no-fsync": "true",
    "listen-client-urls": f"http://{LOOPBACK}:{_ETCD}",
    "advertise-client-urls": f"http://{LOOPBACK}:{_ETCD}",
    "listen-peer-urls": f"http://{LOOPBACK}:{_ETCD_PEER}",
    "initial-advertise-peer-urls": f"http://{LOOPBACK}:{_ETCD_PEER}",
    "initial-cluster": f"test=http://{LOOPBACK}:{_ETCD_PEER}",
    "log-level": "warn",
}
