"""What must hold of the manifests: each check names what is wrong, or finds nothing.

`test_policy.py` runs each on every overlay, and on manifests that were made worse on purpose.
"""

import re
from collections.abc import Callable, Iterator
from math import ceil
from typing import Any

from agent_actors.settings import Settings
from tests.deploy.manifests import (
    Object,
    Objects,
    annotations,
    containers,
    of_kind,
    pod,
    service_container,
    the,
    workloads,
)

Check = Callable[[Objects], Iterator[str]]

SAFE_VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
NAMESPACED = {
    "Component", "ConfigMap", "Configuration", "Deployment", "HorizontalPodAutoscaler",
    "NetworkPolicy", "PodDisruptionBudget", "Resiliency", "Secret", "Service", "ServiceAccount",
    "StatefulSet", "Subscription",
}  # fmt: skip


def pods_are_nobody(objects: Objects) -> Iterator[str]:
    """Pods run as a user with a number that is not root's."""
    for each in workloads(objects):
        said = pod(each).get("securityContext", {})
        if said.get("runAsNonRoot") is not True or not said.get("runAsUser", 0) > 0:
            yield f"{name_of(each)} may be root"


def pods_have_seccomp(objects: Objects) -> Iterator[str]:
    """The pod says so, and thereby the injected sidecar."""
    for each in workloads(objects):
        profile = pod(each).get("securityContext", {}).get("seccompProfile", {})
        if profile.get("type") != "RuntimeDefault":
            yield f"{name_of(each)} has no seccomp profile"


def containers_have_no_capabilities(objects: Objects) -> Iterator[str]:
    """All are dropped, none is added, and none can be gained."""
    for owner, each in containers(objects):
        said = each.get("securityContext", {})
        capabilities = said.get("capabilities", {})
        if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
            yield f"{owner} keeps capabilities"
        if said.get("allowPrivilegeEscalation") is not False or said.get("privileged"):
            yield f"{owner} may gain privileges"


def containers_cannot_write_their_image(objects: Objects) -> Iterator[str]:
    """The root file system is read-only; what is written goes to a volume."""
    for owner, each in containers(objects):
        if each.get("securityContext", {}).get("readOnlyRootFilesystem") is not True:
            yield f"{owner} can write its image"


def pods_have_no_token(objects: Objects) -> Iterator[str]:
    """Nobody who breaks into a pod can ask the API server."""
    for each in workloads(objects):
        if pod(each).get("automountServiceAccountToken") is not False:
            yield f"{name_of(each)} has a token of the API server"
    for each in of_kind(objects, "ServiceAccount"):
        if each.get("automountServiceAccountToken") is not False:
            yield f"{name_of(each)} gives a token of the API server"


def pods_share_nothing_with_the_node(objects: Objects) -> Iterator[str]:
    """No network, process or path of the node is a pod's."""
    for each in workloads(objects):
        spec = pod(each)
        if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
            yield f"{name_of(each)} shares namespaces with its node"
        for volume in spec.get("volumes", ()):
            if not set(volume) - {"name"} <= SAFE_VOLUMES:
                yield f"{name_of(each)} has a volume of its node"


def nobody_else_sets_our_settings(objects: Objects) -> Iterator[str]:
    """Kubernetes adds no variables that are named after Services, such as AGENT_ACTORS_PORT."""
    for each in workloads(objects):
        if pod(each).get("enableServiceLinks") is not False:
            yield f"{name_of(each)} is given variables of Services"


def resources_are_bounded(objects: Objects) -> Iterator[str]:
    """Each container asks for CPU and memory and has a limit of memory, but none of CPU."""
    for owner, each in containers(objects):
        said = each.get("resources", {})
        requests, limits = said.get("requests", {}), said.get("limits", {})
        if not {"cpu", "memory"} <= set(requests):
            yield f"{owner} asks for nothing"
        if "memory" not in limits:
            yield f"{owner} may take all memory"
        if "cpu" in limits:
            yield f"{owner} is stopped by a limit of CPU"
    if "sidecar-cpu-limit" in annotations(objects):
        yield "the sidecar is stopped by a limit of CPU"
    missing = {"sidecar-cpu-request", "sidecar-memory-request", "sidecar-memory-limit"}
    if missing - set(annotations(objects)):
        yield "the sidecar is not bounded"


def containers_are_probed(objects: Objects) -> Iterator[str]:
    """Each container says when it has started, lives and is ready."""
    for owner, each in containers(objects):
        if not {"startupProbe", "livenessProbe", "readinessProbe"} <= set(each):
            yield f"{owner} lacks a probe"


def probes_ask_the_right_thing(objects: Objects) -> Iterator[str]:
    """To live is to answer, whatever Dapr does; to be ready is that actors can be called."""
    container = service_container(objects)
    wanted = {"startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    for probe, path in wanted.items():
        if container[probe].get("httpGet", {}).get("path") != path:
            yield f"{probe} does not ask {path}"
    startup = container["startupProbe"]
    if startup["periodSeconds"] * startup["failureThreshold"] < 60:
        yield "a slow start is taken for a dead one"


def stopping_has_its_time(objects: Objects) -> Iterator[str]:
    """The service drains while its sidecar lives, and both end before they are ended."""
    deployment = the(objects, "Deployment", "agent-actors")
    waits = service_container(objects)["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = Settings.model_fields["drain"].default
    sidecar = int(annotations(objects).get("graceful-shutdown-seconds", "5"))
    # cli/service.py keeps connections a second longer than the drain, after it.
    needed = waits + drain + ceil(drain) + 1 + sidecar
    if pod(deployment).get("terminationGracePeriodSeconds", 30) <= needed:
        yield f"a stop takes {needed} s and is cut before"
    if annotations(objects).get("enable-native-sidecar") != "true":
        yield "the sidecar ends beside the service, not after it"


def rollouts_keep_all_replicas(objects: Objects) -> Iterator[str]:
    """A new replica is there before an old one goes."""
    strategy = the(objects, "Deployment", "agent-actors")["spec"].get("strategy", {})
    if strategy.get("rollingUpdate", {}).get("maxUnavailable") != 0:
        yield "a rollout takes a replica away first"


def replicas_are_apart(objects: Objects) -> Iterator[str]:
    """They are spread over nodes and zones."""
    spread = pod(the(objects, "Deployment", "agent-actors")).get("topologySpreadConstraints", ())
    keys = {each["topologyKey"] for each in spread if each["labelSelector"]["matchLabels"]}
    if keys != {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}:
        yield "all replicas may be on one node"


def one_replica_may_go(objects: Objects) -> Iterator[str]:
    """The budget lets one pod of the service go at a time: never two, and never none."""
    spec = the(objects, "PodDisruptionBudget", "agent-actors")["spec"]
    if spec.get("maxUnavailable") != 1 or "minAvailable" in spec:
        yield "the budget is not one"
    labels = the(objects, "Deployment", "agent-actors")["spec"]["template"]["metadata"]["labels"]
    if not spec["selector"]["matchLabels"].items() <= labels.items():
        yield "the budget is of other pods"


def there_are_two_replicas(objects: Objects) -> Iterator[str]:
    """The autoscaler keeps two at least, and nothing else says how many there are."""
    scaler = the(objects, "HorizontalPodAutoscaler", "agent-actors")["spec"]
    if scaler["minReplicas"] < 2 or scaler["maxReplicas"] <= scaler["minReplicas"]:
        yield "there may be one replica"
    if scaler["scaleTargetRef"]["name"] != "agent-actors":
        yield "the autoscaler is of another Deployment"
    if "replicas" in the(objects, "Deployment", "agent-actors")["spec"]:
        yield "each apply undoes what the autoscaler did"


def nothing_may_speak_by_default(objects: Objects) -> Iterator[str]:
    """Each pod is refused what no policy allows it, in both directions."""
    spec = the(objects, "NetworkPolicy", "default-deny")["spec"]
    if spec["podSelector"] != {} or set(spec["policyTypes"]) != {"Ingress", "Egress"}:
        yield "some pods may speak with anybody"
    if spec.get("ingress") or spec.get("egress"):
        yield "what is refused is allowed by the same policy"


def no_policy_is_open(objects: Objects) -> Iterator[str]:
    """Each rule of a policy names who, and by which ports."""
    for policy in of_kind(objects, "NetworkPolicy"):
        rules = [(rule, rule.get("from")) for rule in policy["spec"].get("ingress", ())]
        rules += [(rule, rule.get("to")) for rule in policy["spec"].get("egress", ())]
        for rule, peers in rules:
            if not peers or not rule.get("ports"):
                yield f"{name_of(policy)} is open"


def nothing_is_of_the_whole_cluster(objects: Objects) -> Iterator[str]:
    """Several namespaces have it side by side: no object is outside of one, and none is named."""
    for each in objects:
        if each["kind"] not in NAMESPACED:
            yield f"{name_of(each)} is of the whole cluster, or not known here"
        if "namespace" in each["metadata"]:
            yield f"{name_of(each)} is of one namespace"


def no_secret_is_written_down(objects: Objects) -> Iterator[str]:
    """What is secret comes from a Secret, by its name."""
    for owner, each in containers(objects):
        for item in each.get("env", ()):
            if re.search("TOKEN|KEY|PASSWORD|AUTH$", item["name"]) and "valueFrom" not in item:
                yield f"{owner} has {item['name']} written down"
    if of_kind(objects, "Secret"):
        yield "a Secret is among the manifests"


def dapr_is_told_what_it_needs(objects: Objects) -> Iterator[str]:
    """The annotations agree with the pod, the secret and the Configuration they name."""
    said, container = annotations(objects), service_container(objects)
    ports = [str(port["containerPort"]) for port in container["ports"]]
    names = {each["metadata"]["name"] for each in of_kind(objects, "Configuration")}
    token = next(item for item in container["env"] if item["name"] == "APP_API_TOKEN")
    source = token["valueFrom"]["secretKeyRef"]
    if said.get("enabled") != "true" or said.get("app-protocol") != "http":
        yield "there is no sidecar"
    if said.get("app-port") not in ports:
        yield "the sidecar calls another port"
    if said.get("config") not in names:
        yield "the Configuration is read by nobody"
    if source != {"name": said.get("app-token-secret"), "key": "token"}:
        yield "service and sidecar have different tokens"
    if said.get("log-as-json") != "true" or said.get("enable-metrics") != "true":
        yield "the sidecar tells nothing of itself"


def valkey_forgets_nothing(objects: Objects) -> Iterator[str]:
    """Each write is in a file on a disk that outlives the pod, and nothing is evicted."""
    server = the(objects, "StatefulSet", "valkey")
    claims = {each["metadata"]["name"] for each in server["spec"].get("volumeClaimTemplates", ())}
    mounts = {
        each["name"]: each["mountPath"] for each in pod(server)["containers"][0]["volumeMounts"]
    }
    if not [name for name in claims if mounts.get(name) == "/data"]:
        yield "the data of Valkey ends with its pod"
    if pod(server).get("terminationGracePeriodSeconds", 30) < 60:
        yield "Valkey is killed while it writes"


def components_are_of_this_app(objects: Objects) -> Iterator[str]:
    """No other sidecar of the namespace is given them."""
    app = annotations(objects)["app-id"]
    for each in of_kind(objects, "Component", "Subscription", "Resiliency"):
        if each.get("scopes") != [app]:
            yield f"{name_of(each)} is for everybody"


def components_have_no_password(objects: Objects) -> Iterator[str]:
    """Redis is the Valkey of this namespace, and its password comes from the Secret."""
    for each in of_kind(objects, "Component"):
        items: dict[str, Any] = {item["name"]: item for item in each["spec"]["metadata"]}
        if "redisHost" not in items:
            continue
        if items["redisHost"].get("value") != "valkey:6379":
            yield f"{name_of(each)} has another Redis"
        if items["redisPassword"].get("secretKeyRef") != {"name": "valkey", "key": "password"}:
            yield f"{name_of(each)} has a password written down"


def images_are_pinned(objects: Objects) -> Iterator[str]:
    """Each image has a tag, and not one that moves."""
    for owner, each in containers(objects):
        _, _, tag = each["image"].rpartition("/")[2].partition(":")
        if tag in {"", "latest"}:
            yield f"{owner} runs whatever is newest"


def name_of(each: Object) -> str:
    """Kind and name."""
    return f"{each['kind']} {each['metadata']['name']}"


ALWAYS: tuple[Check, ...] = (
    pods_are_nobody,
    pods_have_seccomp,
    containers_have_no_capabilities,
    pods_have_no_token,
    pods_share_nothing_with_the_node,
    nobody_else_sets_our_settings,
    resources_are_bounded,
    containers_are_probed,
    probes_ask_the_right_thing,
    stopping_has_its_time,
    rollouts_keep_all_replicas,
    replicas_are_apart,
    nothing_may_speak_by_default,
    no_policy_is_open,
    nothing_is_of_the_whole_cluster,
    dapr_is_told_what_it_needs,
    valkey_forgets_nothing,
)
"""Hold in every overlay, and in the base before kustomize."""

NOT_IN_DEV: tuple[Check, ...] = (
    containers_cannot_write_their_image,
    one_replica_may_go,
    there_are_two_replicas,
    no_secret_is_written_down,
)
"""Hold where others are: dev has one replica, whose code is changed, and secrets of a laptop."""

BY_KUSTOMIZE: tuple[Check, ...] = (
    components_are_of_this_app,
    components_have_no_password,
    images_are_pinned,
)
"""Hold in every overlay, by what kustomize puts into the files of `components/`."""
