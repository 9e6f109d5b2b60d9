"""Replaces a node: runs the containers of real pods as processes of this machine.

A container gets what its pod specifies: command, arguments, environment, user, read-only root, and
mounted volumes (Secrets, ConfigMaps, empty folders, and tokens of its service account that the API
server has bound to the pod). It gets no image, limits, probes or network: all pods share loopback
and therefore their ports.
"""

import base64
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from agent_actors.engine.child import Child
from agent_actors.engine.ports import LOOPBACK
from tests.kubernetes.cluster import API_PORT, Cluster, Object

NOBODY = 65_532
"""The user of images that do not set one; Dapr's images use it."""

Change = Callable[[list[str]], list[str]]
ENTRY = Path(__file__).with_name("container.py")


class Kubelet:
    """Runs containers.

    Args:
        cluster: The cluster with the pods.
        folder: For volumes; users other than root must be able to enter it.
        programs: The programs to run instead of those in images, by name.
        sees: More paths of this machine that containers can see.
    """

    def __init__(
        self, cluster: Cluster, folder: Path, programs: Mapping[str, Path], sees: Sequence[Path]
    ) -> None:
        self._cluster = cluster
        self._folder = folder
        self._programs = programs
        self._sees = sees

    def start(self, pod: Object, name: str, change: Change = list) -> Child:
        """Starts a container of a pod.

        Args:
            pod: The object of the API server.
            name: The name of the container.
            change: Changes the command line, because all pods share their ports.
        """
        return self._run(self.mark_running(pod), name, change, f"{_full_name(pod)}-{name}")

    def execute(self, pod: Object, name: str, *words: str) -> Child:
        """Starts a command in a container, as `kubectl exec` does; the log has its output."""
        return self._run(self.mark_running(pod), name, lambda _: [*words], f"exec-{words[-1]}")

    def _run(self, pod: Object, name: str, change: Change, log: str) -> Child:
        container = container_of(pod, name)
        place = self._folder / _full_name(pod) / name
        (place / "root").mkdir(parents=True, exist_ok=True)
        file = place / "container.json"
        spec = self._spec(pod, container, place)
        spec["argv"] = change(spec["argv"])
        file.write_text(json.dumps(spec), encoding="utf-8")
        command = ["unshare", "--mount", sys.executable, "-I", "-S", str(ENTRY), str(file)]
        return self._cluster.own(Child(command, log=self._cluster.folder / f"{log}.log"))

    def mark_running(self, pod: Object) -> Object:
        """Reports that a pod runs and is ready, as a kubelet does."""
        conditions = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")]
        status = {
            "phase": "Running",
            "podIP": LOOPBACK,
            "podIPs": [{"ip": LOOPBACK}],
            "conditions": conditions,
        }
        words = ["--subresource=status", "--type=merge", "-o", "json"]
        words += ["-p", json.dumps({"status": status})]
        of = ["pod", pod["metadata"]["name"], "-n", pod["metadata"]["namespace"]]
        changed: Object = json.loads(self._cluster.kubectl("patch", *of, *words))
        return changed

    def _spec(self, pod: Object, container: Object, place: Path) -> Object:
        env = self.environment(pod, container)
        words = [*container.get("command", []), *container.get("args", [])]
        argv = [_expand(word, env) for word in words]
        program = self._programs.get(Path(argv[0]).name)
        security = pod["spec"].get("securityContext", {}) | container.get("securityContext", {})
        user = security.get("runAsUser", NOBODY)
        return {
            "root": str(place / "root"),
            "binds": self._binds(pod, container, place),
            "argv": [*([str(program)] if program else argv[:1]), *argv[1:]],
            "env": {"PATH": self._path()} | env,
            "user": user,
            "group": security.get("runAsGroup", user),
            "groups": [security["fsGroup"]] if "fsGroup" in security else [],
            "read_only": security.get("readOnlyRootFilesystem", False),
        }

    def _path(self) -> str:
        folders = {str(program.parent): None for program in self._programs.values()}
        return ":".join([*folders, "/usr/local/bin", "/usr/bin", "/bin"])

    def environment(self, pod: Object, container: Object) -> dict[str, str]:
        """The environment of a container with all references resolved."""
        # Dapr looks for its address among the network interfaces, and there are none.
        env = {"DAPR_HOST_IP": LOOPBACK}
        env |= {"KUBERNETES_SERVICE_HOST": LOOPBACK, "KUBERNETES_SERVICE_PORT": str(API_PORT)}
        for source in container.get("envFrom", []):
            env |= self._all_of(pod, source)
        for variable in container.get("env", []):
            value = self._value(pod, variable)
            if value is not None:
                env[variable["name"]] = _expand(value, env)
        return env

    def _all_of(self, pod: Object, source: Object) -> dict[str, str]:
        for key, kind in (("configMapRef", "configmap"), ("secretRef", "secret")):
            if key in source:
                return self._data(pod, kind, source[key]["name"], source[key].get("optional"))
        raise NotImplementedError(f"envFrom {source}")

    def _value(self, pod: Object, variable: Object) -> str | None:
        origin = variable.get("valueFrom", {})
        for key, kind in (("secretKeyRef", "secret"), ("configMapKeyRef", "configmap")):
            if key in origin:
                asked = origin[key]
                optional = asked.get("optional")
                data = self._data(pod, kind, asked["name"], optional)
                return data.get(asked["key"]) if optional else data[asked["key"]]
        if "fieldRef" in origin:
            return _field(pod, origin["fieldRef"]["fieldPath"])
        if origin:
            raise NotImplementedError(f"valueFrom {origin}")
        value: str = variable.get("value", "")
        return value

    def _data(self, pod: Object, kind: str, name: str, optional: bool | None) -> dict[str, str]:
        namespace = pod["metadata"]["namespace"]
        found = self._cluster.find(kind, name, namespace)
        if found is None:
            if optional:
                return {}
            raise LookupError(f"{_full_name(pod)} needs the {kind} {name!r}")
        data: dict[str, str] = found.get("data", {})
        if kind == "secret":
            return {key: base64.b64decode(data[key]).decode() for key in data}
        return data

    def _binds(self, pod: Object, container: Object, place: Path) -> list[tuple[str, str]]:
        hosts = place / "hosts"
        hosts.write_text(self._hosts(pod["metadata"]["namespace"]), encoding="utf-8")
        binds = [(str(path), str(path)) for path in self._sees]
        binds.append((str(hosts), "/etc/hosts"))
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
        for mount in container.get("volumeMounts", []):
            folder = place.with_name("volumes") / mount["name"]
            self._fill(pod, volumes[mount["name"]], folder)
            _own(pod, volumes[mount["name"]], folder)
            binds.append((str(folder), mount["mountPath"]))
        return binds

    def _fill(self, pod: Object, volume: Object, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(parents=True)
            folder.chmod(0o1777)
        if "configMap" in volume:
            _write(folder, self._data(pod, "configmap", volume["configMap"]["name"], None))
        elif "secret" in volume:
            secret = volume["secret"]
            _write(folder, self._data(pod, "secret", secret["secretName"], secret.get("optional")))
        elif "projected" in volume:
            for source in volume["projected"]["sources"]:
                self._project(pod, source, folder)
        elif "emptyDir" not in volume and "persistentVolumeClaim" not in volume:
            raise NotImplementedError(f"volume {volume}")

    def _project(self, pod: Object, source: Object, folder: Path) -> None:
        if "serviceAccountToken" in source:
            token = source["serviceAccountToken"]
            _write(folder, {token["path"]: self._token(pod, token.get("audience"))})
        elif "configMap" in source:
            data = self._data(pod, "configmap", source["configMap"]["name"], None)
            wanted = source["configMap"].get("items") or [{"key": key, "path": key} for key in data]
            _write(folder, {item["path"]: data[item["key"]] for item in wanted})
        elif "downwardAPI" in source:
            items = source["downwardAPI"]["items"]
            fields = {item["path"]: _field(pod, item["fieldRef"]["fieldPath"]) for item in items}
            _write(folder, fields)
        else:
            raise NotImplementedError(f"projected {source}")

    def _token(self, pod: Object, audience: str | None) -> str:
        metadata = pod["metadata"]
        words = ["create", "token", pod["spec"]["serviceAccountName"], "-n", metadata["namespace"]]
        words += ["--bound-object-kind=Pod", f"--bound-object-name={metadata['name']}"]
        words += [f"--bound-object-uid={metadata['uid']}"]
        return self._cluster.kubectl(*words, *([f"--audience={audience}"] if audience else []))

    def _hosts(self, namespace: str) -> str:
        """The names of Services, as the cluster's DNS has them; a headless one is on loopback."""
        lines = [f"{LOOPBACK} localhost"]
        every = json.loads(self._cluster.kubectl("get", "services", "-A", "-o", "json"))
        for service in every["items"]:
            name, where = service["metadata"]["name"], service["metadata"]["namespace"]
            address = service["spec"]["clusterIP"].replace("None", LOOPBACK)
            names = [f"{name}.{where}.svc.cluster.local", f"{name}.{where}.svc", f"{name}.{where}"]
            lines.append(" ".join([address, *names, *([name] if where == namespace else [])]))
        return "\n".join([*lines, ""])


def container_of(pod: Object, name: str) -> Object:
    """A container of a pod, including init containers, as a native sidecar is one."""
    spec: Any = pod["spec"]
    every: list[Object] = [*spec.get("initContainers", []), *spec["containers"]]
    return next(container for container in every if container["name"] == name)


def _full_name(pod: Object) -> str:
    return f"{pod['metadata']['namespace']}-{pod['metadata']['name']}"


def _field(pod: Object, path: str) -> str:
    found = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if found:
        value: str = pod["metadata"].get(found[1], {}).get(found[2], "")
        return value
    here: Any = pod
    for part in path.split("."):
        here = here[part]
    return str(here)


def _expand(text: str, env: Mapping[str, str]) -> str:
    return re.sub(r"\$\((\w+)\)", lambda found: env.get(found[1], found[0]), text)


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _own(pod: Object, volume: Object, folder: Path) -> None:
    """Gives files the mode of the volume; they belong to root and the pod's group."""
    group = pod["spec"].get("securityContext", {}).get("fsGroup", 0)
    for kind in ("configMap", "secret", "projected"):
        for file in folder.iterdir() if kind in volume else ():
            os.chown(file, 0, group)
            file.chmod(volume[kind]["defaultMode"])


def documents(text: str) -> list[Object]:
    """The objects of a text with several documents."""
    return [document for document in yaml.safe_load_all(text) if document]
