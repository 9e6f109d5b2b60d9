"""Dapr's chart with our values on a real API server."""

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.overlays import K8S
from tests.kubernetes.plane import NAMESPACE, DaprPlane
from tools.kubernetes_servers import dapr_version, kubernetes_version

KINDS = {
    "components",
    "configurations",
    "httpendpoints",
    "mcpservers",
    "resiliencies",
    "subscriptions",
    "workflowaccesspolicies",
}


def test_the_versions_are_documented():
    """`docs/dependencies.md` names the versions that are pinned."""
    page = (K8S.parent / "docs" / "dependencies.md").read_text(encoding="utf-8")

    assert f"Kubernetes {kubernetes_version().text} |" in page
    assert f"Dapr {dapr_version().text} |" in page


def test_the_chart_installs_and_serves(cluster: Cluster, plane: DaprPlane):
    """Dapr's chart installs with our values; its kinds are known and its control plane serves."""
    words = ["api-resources", "--api-group=dapr.io", "-o", "name", "--no-headers"]
    kinds = {line.partition(".")[0] for line in cluster.kubectl(*words).split()}

    assert kinds == KINDS
    assert "dapr" in cluster.run("helm", "list", "-n", NAMESPACE, "--deployed", "-q").out
