"""Says where a Kubernetes API server and Dapr's control plane are; builds them with Go where not.

Without a container engine: they run as plain processes, in tests (`make test-kubernetes`).
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

TOOLS = Path(__file__).parent
KUBERNETES = TOOLS / "kubernetes"
DAPR = TOOLS / "dapr"
MODULE = "github.com/dapr/dapr"
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "helm": "helm.sh/helm/v3/cmd/helm",
}
CONTROL_PLANE = ("sentry", "operator", "injector")
CHART = "chart"
"""Dapr's own Helm chart, of the same version as its servers; it lies beside them."""


class NotThere(Exception):
    """The servers cannot be used; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Version:
    """Of Dapr, or of Kubernetes, without the `v`."""

    text: str

    @property
    def major(self) -> str:
        """The first number."""
        return self.text.split(".")[0]

    @property
    def minor(self) -> str:
        """The second number."""
        return self.text.split(".")[1]


def main() -> None:
    """Builds what is missing."""
    folder = destination()
    if not folder.is_dir():
        build(folder)
    print(f"Kubernetes {kubernetes_version().text}, Dapr {dapr_version().text}: {find()}")


def find() -> Path:
    """The folder of the servers, of `kubectl` and `helm`, and of Dapr's chart.

    Raises:
        NotThere: There is none.
    """
    folder = destination()
    if not folder.is_dir():
        raise NotThere("Kubernetes' servers are not here; run `make kubernetes`")
    return folder


def destination() -> Path:
    """Where they are built to; another go.mod has another folder."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    pinned = [module / name for module in (KUBERNETES, DAPR) for name in ("go.mod", "go.sum")]
    text = b"".join(file.read_bytes() for file in pinned)
    return Path(caches) / "agent-actors" / f"kubernetes-{hashlib.sha256(text).hexdigest()[:12]}"


def build(folder: Path) -> None:
    """Builds all of them; they come to the folder together, when the last one is done.

    Raises:
        NotThere: There is no Go, or it failed.
    """
    go = shutil.which("go")
    if go is None:
        raise NotThere("Go is needed to build Kubernetes' servers (https://go.dev/dl)")
    print(
        "Building Kubernetes and Dapr with Go: about 10 minutes on two cores the first time",
        flush=True,
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent) as building:
        done = Path(building, "done")
        done.mkdir(mode=0o755)
        _build_dapr(go, done)
        _build_kubernetes(go, done)
        shutil.copytree(_chart(go), done / CHART)
        _writable(done / CHART)
        done.rename(folder)


def _build_dapr(go: str, folder: Path) -> None:
    # As in engine.py: with other tags, Go would compile what it has in its cache once more.
    version = dapr_version().text
    variables = (f"{MODULE}/pkg/buildinfo.version", "github.com/dapr/kit/logger.DaprVersion")
    linked = " ".join(f"-X {name}={version}" for name in variables)
    packages = [f"{MODULE}/cmd/{name}" for name in CONTROL_PLANE]
    options = ["-tags", "allcomponents", "-ldflags", f"-s -w {linked}", "-o", f"{folder}/"]
    _run([go, "build", *options, *packages], DAPR, ", ".join(CONTROL_PLANE))


def _build_kubernetes(go: str, folder: Path) -> None:
    """Without a version the API server says it is v0.0.0, and charts refuse it."""
    version = kubernetes_version()
    says = {"gitVersion": f"v{version.text}", "gitMajor": version.major}
    says |= {"gitMinor": version.minor, "gitTreeState": "clean"}
    linked = " ".join(f"-X k8s.io/component-base/version.{name}={says[name]}" for name in says)
    options = ["-trimpath", "-ldflags", f"-s -w {linked}", "-o", f"{folder}/"]
    # One after the other: each alone takes gigabytes to link.
    for name, package in PACKAGES.items():
        _run([go, "build", *options, package], KUBERNETES, name, CGO_ENABLED="0")
    Path(folder, "server").rename(folder / "etcd")


def _run(command: list[str], module: Path, what: str, **environment: str) -> None:
    started = monotonic()
    done = subprocess.run(command, cwd=module, env=os.environ | environment)
    if done.returncode:
        raise NotThere(f"Go could not build {what}; its messages are above")
    print(f"  {monotonic() - started:4.0f} s  {what}", flush=True)


def _chart(go: str) -> Path:
    listed = subprocess.run(
        [go, "list", "-m", "-f", "{{.Dir}}", MODULE],
        cwd=DAPR,
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(listed.stdout.strip()) / "charts" / "dapr"


def _writable(folder: Path) -> None:
    """Go's module cache is read-only, and so would be the copy, which nobody could remove."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def kubernetes_version() -> Version:
    """What is pinned."""
    return _version(KUBERNETES, "k8s.io/kubernetes")


def dapr_version() -> Version:
    """What is pinned."""
    return _version(DAPR, MODULE)


def _version(module: Path, name: str) -> Version:
    text = (module / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^\s*{re.escape(name)} v(\S+)", text, flags=re.MULTILINE)
    if found is None:
        raise NotThere(f"{module.name}/go.mod does not name {name}")
    return Version(found.group(1))


if __name__ == "__main__":
    try:
        main()
    except NotThere as error:
        sys.exit(f"Error: {error}.")
