"""Bugs of the published lesson in what it hands to a cluster: none of them exists here."""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement

from tests.deploy.dockerfile import stages
from tests.deploy.manifests import (
    K8S,
    PLAIN,
    ROOT,
    annotations,
    containers,
    of_kind,
    rendered,
    service_container,
    the,
)
from tests.deploy.tiltfile import evaluate


@pytest.mark.parametrize("name", [PLAIN, "dev", "observed", "prod"])
def test_b32_the_configuration_is_read_by_the_sidecar(name: str):
    """The Deployment names the Configuration, by a name that exists."""
    names = {each["metadata"]["name"] for each in of_kind(rendered(name), "Configuration")}

    assert annotations(rendered(name))["config"] in names


def test_b32_tracing_is_in_the_configuration_that_is_read():
    """Where traces are collected, the named Configuration says where to send them."""
    objects = rendered("observed")
    read = the(objects, "Configuration", annotations(objects)["config"])

    assert float(read["spec"]["tracing"]["samplingRate"]) > 0
    assert read["spec"]["tracing"]["otel"]["endpointAddress"]


def test_b33_images_are_built_for_minikube():
    """Docker builds the image, for the cluster that `minikube start` made, and for no other."""
    record = evaluate()

    assert record.of("docker_build")
    assert "nerdctl" not in (ROOT / "Tiltfile").read_text()
    assert [each["contexts"] for each in record.of("allow_k8s_contexts")] == ["minikube"]


def test_b33_no_image_is_of_bitnami():
    """Redis is an official image, which can be pulled."""
    images = [container["image"] for _, container in containers(rendered("observed"))]

    assert len(images) > 5
    assert not [image for image in images if "bitnami" in image]


def test_b33_the_image_has_a_python_that_the_project_takes():
    """The base's Python is in the range of the project."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    (version,) = {
        re.search(r"python:([\d.]+)", stage.base)[1]  # type: ignore[index]
        for stage in stages().values()
        if stage.base.startswith("python:")
    }

    assert Requirement(f"python{wanted}").specifier.contains(version)


def test_b33_the_image_does_not_reload():
    """What runs in production never watches its files; dev does, by its overlay."""
    assert "--reload" not in stages()["runtime"].of("CMD")[0]
    assert "--reload" not in service_container(rendered("prod"))["command"]
    assert "--reload" in service_container(rendered("dev"))["command"]


def test_b33_sidecars_know_one_another():
    """Certificates between sidecars are on."""
    assert values()["global"]["mtls"]["enabled"] is True


def test_b33_pods_are_probed_and_bounded():
    """Each container has probes, requests and a limit of memory."""
    for _, container in containers(rendered("prod")):
        assert {"livenessProbe", "readinessProbe"} <= set(container)
        assert {"requests", "limits"} <= set(container["resources"])


def test_b33_a_laptop_runs_one_of_each():
    """Nothing of Dapr's control plane is made three times over for a laptop."""
    assert "ha" not in values()["global"]
    assert "ha" not in values().get("dapr_placement", {})
    assert values()["dapr_scheduler"]["cluster"]["inMemoryStorage"] is True


def values():
    return yaml.safe_load((K8S / "dapr-values.yaml").read_text())
