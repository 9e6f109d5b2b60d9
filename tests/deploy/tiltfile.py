"""The Tiltfile, evaluated without Tilt: stubs of Tilt's functions record how they are called.

`ARGUMENTS` lists the arguments of each function that is used, in the order of Tilt 0.35, up to
the last that we need. Any other function or argument is refused, as Tilt refuses it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import starlark

from tests.deploy.manifests import ROOT, Objects, built, documents

TILTFILE = ROOT / "Tiltfile"
ARGUMENTS: Mapping[str, str] = {
    "allow_k8s_contexts": "contexts",
    "ci_settings": "k8s_grace_period timeout readiness_timeout",
    "cmd_button": "name resource argv text location icon_name",
    "docker_build": "ref context build_args dockerfile dockerfile_contents live_update"
    " match_in_env_vars ignore only entrypoint target",
    "fall_back_on": "files",
    "http_get_action": "port host scheme path",
    "k8s_resource": "workload new_name port_forwards extra_pod_selectors trigger_mode resource_deps"
    " objects auto_init pod_readiness links labels",
    "k8s_yaml": "yaml allow_duplicates",
    "link": "url name",
    "local_resource": "name cmd deps trigger_mode resource_deps ignore auto_init serve_cmd cmd_bat"
    " serve_cmd_bat allow_parallel links labels env serve_env readiness_probe",
    "port_forward": "local_port container_port name",
    "probe": "initial_delay_secs timeout_secs period_secs success_threshold failure_threshold exec"
    " http_get tcp_socket",
    "sync": "local_path remote_path",
    "update_settings": "max_parallel_updates k8s_upsert_timeout_secs",
    "watch_file": "file_path",
    "version_settings": "check_updates constraint",
}
"""Functions that are only recorded, with their arguments in order."""
CHOICES: Mapping[str, set[str]] = {"pod_readiness": {"wait", "ignore"}}
"""Arguments that take one of a few values."""
CONTEXT = "minikube"
KEYS = {"GEMINI_API_KEY": "of-gemini", "OPENAI_API_KEY": "of-openai"}
"""Keys of models in the environment."""

_PRELUDE = (
    "config = struct(define_bool=_define_bool, parse=_parse); os = struct(getenv=_getenv)\n"
    "TRIGGER_MODE_MANUAL = 'manual'; TRIGGER_MODE_AUTO = 'auto'\n"
)

Call = dict[str, Any]
"""The arguments of one call, by name."""


@dataclass
class Record:
    """Everything that a Tiltfile asks for."""

    calls: list[tuple[str, Call]] = field(default_factory=list)
    manifests: Objects = field(default_factory=list)
    """Every object that it gives to Tilt."""
    options: Mapping[str, Any] = field(default_factory=dict)

    def of(self, function: str) -> list[Call]:
        """The calls of one function, in order."""
        return [call for name, call in self.calls if name == function]

    def resources(self) -> dict[str, Call]:
        """Each resource by the name that Tilt shows."""
        local = {each["name"]: each for each in self.of("local_resource")}
        named = {each.get("new_name") or each["workload"]: each for each in self.of("k8s_resource")}

        assert not local.keys() & named.keys()
        return local | named


def evaluate(
    text: str | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    lean: bool = False,
    context: str = CONTEXT,
) -> Record:
    """Evaluates the Tiltfile, or another text.

    Raises:
        starlark.StarlarkError: Tilt would refuse it.
    """
    built("dev")  # Skips the test without kubectl; within a stub, a skip would be an error.
    record = Record(options={"lean": True} if lean else {})
    module = starlark.Module()
    for name in ARGUMENTS.keys() - {"cmd_button"}:
        module.add_callable(name, _recording(record, name))
    for name, function in _computing(record, environment or {}).items():
        module.add_callable(name, function)
    module.add_callable("k8s_context", lambda: context)
    dialect = starlark.Dialect.standard()
    dialect.enable_f_strings = False
    dialect.enable_top_level_stmt = True
    source = _PRELUDE + (TILTFILE.read_text(encoding="utf-8") if text is None else text)
    library = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
    loader = starlark.FileLoader(_extension(record))
    starlark.eval(module, starlark.parse("Tiltfile", source, dialect), library, loader)
    return record


def edited(right: str, wrong: str) -> Record:
    """Evaluates the Tiltfile after a careless edit."""
    text = TILTFILE.read_text(encoding="utf-8")

    assert right in text
    return evaluate(text.replace(right, wrong), environment=KEYS)


def _recording(record: Record, function: str) -> Callable[..., Any]:
    names = ARGUMENTS[function].split()

    def call(*words: Any, **named: Any) -> Call:
        unknown = named.keys() - set(names[len(words) :])
        if unknown or len(words) > len(names):
            raise TypeError(f"{function} has no argument {sorted(unknown) or words!r}")
        given = dict(zip(names, words, strict=False)) | named
        for name in CHOICES.keys() & given.keys():
            if given[name] not in CHOICES[name]:
                raise ValueError(f"{name} cannot be {given[name]!r}")
        record.calls.append((function, given))
        if function == "k8s_yaml":
            text = given["yaml"]
            file = not text.startswith("[")
            record.manifests += documents((ROOT / text).read_text()) if file else json.loads(text)
        return {"function": function} | given

    return call


def _computing(record: Record, environment: Mapping[str, str]) -> dict[str, Callable[..., Any]]:
    """Functions whose result the Tiltfile uses. Objects are encoded as JSON, which is fast."""

    def define_bool(name: str, usage: str) -> None:
        record.calls.append(("define_bool", {"name": name, "usage": usage}))

    return {
        "kustomize": lambda path: built(Path(path).name),
        "decode_yaml_stream": documents,
        "encode_yaml_stream": json.dumps,
        "listdir": lambda folder: [str(each) for each in (ROOT / folder).iterdir()],
        "_define_bool": define_bool,
        "_parse": lambda: dict(record.options),
        "_getenv": lambda name, default=None: environment.get(name, default),
    }


def _extension(record: Record) -> Callable[[str], Any]:
    def load(name: str) -> Any:
        if name != "ext://uibutton":
            raise FileNotFoundError(f"there is no extension {name!r}")
        module = starlark.Module()
        module.add_callable("_cmd_button", _recording(record, "cmd_button"))
        ast = starlark.parse("uibutton", "cmd_button = _cmd_button")
        starlark.eval(module, ast, starlark.Globals.standard())
        return module.freeze()

    return load
