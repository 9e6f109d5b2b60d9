"""Writes docs/settings.md from the fields of `Settings`, whose descriptions it repeats."""

import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, MultipleOf
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode

from agent_actors.settings import Settings

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"

HEAD = """\
# Settings

Read once from the environment when the service starts, then fixed.
A value that is not of its form stops the start with one line that names it (exit code 2).
Durations are in seconds.
Options of `agent-actors dev` (`--data`, `--drain`) come before the environment.
This page is written by `make docs` from `src/agent_actors/settings/__init__.py`.

| name | default | allowed | meaning |
|---|---|---|---|
"""

FOOT = """\

## Read by others

| name | read by | meaning |
|---|---|---|
| `AGENT_ACTORS_URL` | `agent-actors chat`, `history`, `events`, `notifications`, `doctor` | Where the service is, unless `--url` says it. |
| `AGENT_ACTORS_TOKEN` | the same but `doctor` | The token to show, where the service asks for one ([security.md](security.md)). |
| `DAPR_HTTP_PORT` | `agent-actors dev`, `serve` | Set by Dapr: the `dapr` runtime is taken, unless `--runtime` says otherwise. |
| `AGENT_ACTORS_ENGINE` | `agent-actors dev`, `doctor`, `make engine` | The folder of Dapr's servers (`daprd`, `placement`, `scheduler`), which else is looked for ([dapr.md](dapr.md)). |
| `APP_API_TOKEN` | `agent-actors events` | Sent to the service, whose setting it is too. |
"""


def render() -> str:
    """The page."""
    rows = (_row(name, field) for name, field in Settings.model_fields.items())
    return HEAD + "".join(rows) + FOOT


def _row(name: str, field: FieldInfo) -> str:
    default = "none" if field.default is None else f"`{_shown(field.default)}`"
    return f"| `{variable(name)}` | {default} | {_allowed(field)} | {field.description} |\n"


def variable(name: str) -> str:
    """The environment variable of a setting."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"AGENT_ACTORS_{name.upper()}"


def _shown(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _allowed(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(field.annotation))
    return f"{_kind(field.annotation)}{_limits(field.metadata)}"


def _kind(annotation: Any) -> str:
    if get_origin(annotation) in {Union, types.UnionType}:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is dict:
        return "JSON"
    names = {
        int: "whole number",
        float: "number",
        Path: "path",
        str: "text",
        SecretStr: "text, never shown",
        bool: "`true` or `false`",
    }
    return names[annotation]


def _limits(metadata: list[Any]) -> str:
    said = []
    for limit in metadata:
        if limit is NoDecode:
            continue
        match limit:
            case Gt(gt=value):
                said.append(f"above {_shown(value)}")
            case Ge(ge=value):
                said.append(f"from {value:,}")
            case Le(le=value):
                said.append(f"to {value:,}")
            case MultipleOf(multiple_of=value):
                said.append(f"in steps of {value}")
            case _:
                raise TypeError(f"{limit!r} has no words in this page yet")
    return " " + ", ".join(said) if said else ""


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    print(f"Wrote docs/{PAGE.name}")
