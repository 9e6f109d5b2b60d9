"""The Tiltfile, evaluated without Tilt: its functions are stubs here, and write down their calls.

The arguments that each function of Tilt has are listed below, as of 0.35, for the functions
that are used; one that it does not have, or is not listed, is refused as Tilt refuses it.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import starlark
import yaml

from tests.deploy.manifests import ROOT, documents, need_kubectl, rendered

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
TILTFILE = ROOT / "Tiltfile"

ARGUMENTS: Mapping[str, str] = {
    "allow_k8s_contexts": "contexts",
    "ci_settings": "k8s_grace_period timeout readiness_timeout",
    "cmd_button": "name resource argv text location icon_name icon_svg inputs",
    "docker_build": "ref context build_args dockerfile dockerfile_contents live_update"
    " match_in_env_vars ignore only entrypoint target ssh network secret extra_tag container_args"
    " cache_from pull platform",
    "fall_back_on": "files",
    "http_get_action": "port host scheme path",
    "k8s_resource": "workload new_name port_forwards extra_pod_selectors trigger_mode resource_deps"
    " objects auto_init pod_readiness links labels discovery_strategy",
    "k8s_yaml": "yaml allow_duplicates",
    "link": "url name",
    "local_resource": "name cmd deps trigger_mode resource_deps ignore auto_init serve_cmd cmd_bat"
    " serve_cmd_bat allow_parallel links labels env serve_env readiness_probe dir serve_dir",
    "port_forward": "local_port container_port name link_path host",
    "probe": "initial_delay_secs timeout_secs period_secs success_threshold failure_threshold exec"
    " http_get tcp_socket",
    "sync": "local_path remote_path",
    "update_settings": "max_parallel_updates k8s_upsert_timeout_secs suppress_unused_image_warnings"
    " k8s_server_side_apply",
    "watch_file": "file_path",
    "version_settings": "check_updates constraint",
}
"""Functions that are only written down, with their arguments in order."""

CHOICES: Mapping[str, set[str]] = {"pod_readiness": {"wait", "ignore"}}
"""Arguments that have one of a few values."""

BUTTON = "cmd_button"
"""The function that has to be loaded from its extension."""

CONTEXT = "minikube"


@dataclass
class Call:
    """One call of a function, with its arguments by name."""

    function: str
    given: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.given[name]

    def get(self, name: str, default: Any = None) -> Any:
        """What an argument was, or that it was not given."""
        return self.given.get(name, default)


@dataclass
class Record:
    """What a Tiltfile asked for."""

    calls: list[Call] = field(default_factory=list)
    manifests: list[dict[str, Any]] = field(default_factory=list)
    """Every object that it handed to Tilt."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What it was started with."""

    def of(self, function: str) -> list[Call]:
        """The calls of one function, in order."""
        return [each for each in self.calls if each.function == function]

    def resources(self) -> dict[str, Call]:
        """Each resource by its name, as it is shown in Tilt."""
        local = {each["name"]: each for each in self.of("local_resource")}
        named = {each.get("new_name") or each["workload"]: each for each in self.of("k8s_resource")}

        assert not local.keys() & named.keys()
        return local | named


def evaluate(
    text: str | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    context: str = CONTEXT,
) -> Record:
    """What the Tiltfile asks for, with these variables of the environment, options and context.

    Raises:
        starlark.StarlarkError: Tilt would refuse it.
    """
    need_kubectl()  # Here, since what a stub raises becomes an error of Starlark's.
    record = Record(options=options or {})
    module = starlark.Module()
    for name in ARGUMENTS.keys() - {BUTTON}:
        module.add_callable(name, _writing(record, name))
    _computing(record, module, environment or {})
    module.add_callable("k8s_context", lambda: context)
    for name, value in {"TRIGGER_MODE_MANUAL": "manual", "TRIGGER_MODE_AUTO": "auto"}.items():
        module[name] = value
    dialect = starlark.Dialect.standard()
    dialect.enable_f_strings = False
    dialect.enable_top_level_stmt = True
    source = _PRELUDE + (TILTFILE.read_text(encoding="utf-8") if text is None else text)
    ast = starlark.parse("Tiltfile", source, dialect)
    library = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
    starlark.eval(module, ast, library, starlark.FileLoader(_extension(record)))
    return record


_PRELUDE = (
    "config = struct(define_bool=_define_bool, parse=_parse, tilt_subcommand='up');"
    " os = struct(getenv=_getenv)\n"
)


def _writing(record: Record, function: str) -> Callable[..., Any]:
    names = ARGUMENTS[function].split()

    def call(*words: Any, **named: Any) -> dict[str, Any]:
        unknown = named.keys() - set(names)
        if unknown or len(words) > len(names):
            msg = f"{function} has no argument {sorted(unknown) or words!r}"
            raise TypeError(msg)
        given = dict(zip(names, words, strict=False))
        if given.keys() & named.keys():
            msg = f"{function} is given {sorted(given.keys() & named.keys())} twice"
            raise TypeError(msg)
        made = Call(function, given | named)
        for name in CHOICES.keys() & made.given.keys():
            if made[name] not in CHOICES[name]:
                msg = f"{name} cannot be {made[name]!r}"
                raise ValueError(msg)
        record.calls.append(made)
        if function == "k8s_yaml":
            record.manifests += _handed(made["yaml"])
        return {"function": function} | made.given

    return call


def _handed(said: str) -> list[dict[str, Any]]:
    """The objects of a file, where it is the name of one, else of a text."""
    path = ROOT / said
    return documents(path.read_text() if "\n" not in said and path.is_file() else said)


def _computing(record: Record, module: Any, environment: Mapping[str, str]) -> None:
    """Functions whose answer the Tiltfile goes on with."""

    def kustomize(paths: str) -> str:
        record.calls.append(Call("kustomize", {"paths": paths}))
        return yaml.dump_all(rendered(Path(paths).name), Dumper=_DUMPER)

    def encode(objects: Any) -> str:
        return yaml.dump_all(objects, Dumper=_DUMPER)

    def define_bool(name: str, usage: str) -> None:
        record.calls.append(Call("define_bool", {"name": name, "usage": usage}))

    module.add_callable("kustomize", kustomize)
    module.add_callable("decode_yaml_stream", lambda text: documents(text))
    module.add_callable("encode_yaml_stream", encode)
    module.add_callable("listdir", lambda folder: [str(each) for each in (ROOT / folder).iterdir()])
    module.add_callable("_define_bool", define_bool)
    module.add_callable("_parse", lambda: dict(record.options))
    module.add_callable("_getenv", lambda name, default=None: environment.get(name, default))


def _extension(record: Record) -> Callable[[str], Any]:
    def load(name: str) -> Any:
        if name != "ext://uibutton":
            msg = f"there is no extension {name!r}"
            raise FileNotFoundError(msg)
        module = starlark.Module()
        module.add_callable("_cmd_button", _writing(record, BUTTON))
        ast = starlark.parse("uibutton", "cmd_button = _cmd_button")
        starlark.eval(module, ast, starlark.Globals.standard())
        return module.freeze()

    return load


def exists(path: str) -> bool:
    """Is there such a file or folder in the repository?"""
    return os.path.lexists(ROOT / path)
