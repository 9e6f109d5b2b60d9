"""Says where a Kubernetes API server and Dapr's control plane are; builds them with Go where not.

Without a container engine: they run as plain processes, in tests (`make test-kubernetes`).
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools import go_programs
from tools.go_programs import NotThere, run

__all__ = ["NotThere"]

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
    pinned = go_programs.pins(KUBERNETES) + go_programs.pins(DAPR)
    return go_programs.destination("kubernetes", pinned)


def build(folder: Path) -> None:
    """Builds all of them; they come to the folder together, when the last one is done.

    Raises:
        NotThere: There is no Go, or it failed.
    """
    print(
        "Building Kubernetes and Dapr with Go: about 10 minutes on two cores the first time",
        flush=True,
    )
    go_programs.build(folder, _fill)


def _fill(go: str, folder: Path) -> None:
    _build_dapr(go, folder)
    _build_kubernetes(go, folder)
    shutil.copytree(_chart(go), folder / CHART)
    _writable(folder / CHART)


def _build_dapr(go: str, folder: Path) -> None:
    # As in engine.py: with other tags, Go would compile what it has in its cache once more.
    version = dapr_version().text
    variables = (f"{MODULE}/pkg/buildinfo.version", "github.com/dapr/kit/logger.DaprVersion")
    linked = " ".join(f"-X {name}={version}" for name in variables)
    packages = [f"{MODULE}/cmd/{name}" for name in CONTROL_PLANE]
    options = ["-tags", "allcomponents", "-ldflags", f"-s -w {linked}", "-o", f"{folder}/"]
    run([go, "build", *options, *packages], DAPR, ", ".join(CONTROL_PLANE))


def _build_kubernetes(go: str, folder: Path) -> None:
    """Without a version the API server says it is v0.0.0, and charts refuse it."""
    version = kubernetes_version()
    says = {"gitVersion": f"v{version.text}", "gitMajor": version.major}
    says |= {"gitMinor": version.minor, "gitTreeState": "clean"}
    linked = " ".join(f"-X k8s.io/component-base/version.{name}={says[name]}" for name in says)
    options = ["-trimpath", "-ldflags", f"-s -w {linked}", "-o", f"{folder}/"]
    # One after the other: each alone takes gigabytes to link.
    for name, package in PACKAGES.items():
        run([go, "build", *options, package], KUBERNETES, name, CGO_ENABLED="0")
    Path(folder, "server").rename(folder / "etcd")


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
    return Version(go_programs.version(KUBERNETES, "k8s.io/kubernetes"))


def dapr_version() -> Version:
    """What is pinned."""
    return Version(go_programs.version(DAPR, MODULE))


if __name__ == "__main__":
    try:
        main()
    except NotThere as error:
        sys.exit(f"Error: {error}.")
