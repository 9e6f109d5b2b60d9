"""Writes docs/settings.md from the fields and descriptions of `Settings`."""

import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, MultipleOf
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode

from agent_actors.settings import Settings
from agent_actors.settings.unknown import variable

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"

HEAD = """\
# Settings

The service reads its settings from the environment once, when it starts.
An invalid value stops the start with an error that names the setting (exit code 2); an unknown variable that begins with `AGENT_ACTORS_` is a warning.
Durations are in seconds.
Options of `agent-actors dev` (`--data`, `--drain`) take precedence over the environment.
This page is written by `make docs` from `src/agent_actors/settings/`.

| name | default | allowed | meaning |
|---|---|---|---|
"""

FOOT = """\

## Variables of the commands

| name | read by | meaning |
|---|---|---|
| `AGENT_ACTORS_URL` | `agent-actors chat`, `history`, `events`, `notifications`, `doctor` | URL of the service; `--url` takes precedence. |
| `AGENT_ACTORS_TOKEN` | the same | The caller's token, if the service needs one ([security.md](security.md)). |
| `DAPR_HTTP_PORT` | `agent-actors dev`, `serve` | Set by Dapr: selects the `dapr` runtime; `--runtime` takes precedence. |
| `AGENT_ACTORS_ENGINE` | `agent-actors dev`, `doctor`, `make engine` | The folder of Dapr's servers (`daprd`, `placement`, `scheduler`); by default it is searched for ([dapr.md](dapr.md)). |
| `APP_API_TOKEN` | `agent-actors events`, `doctor` | Sent to the service, which has the same setting. |
"""


def render() -> str:
    """The page."""
    rows = (_row(name, field) for name, field in Settings.model_fields.items())
    return HEAD + "".join(rows) + FOOT


def _row(name: str, field: FieldInfo) -> str:
    default = "none" if field.default in (None, "") else f"`{_shown(field.default)}`"
    return f"| `{variable(name)}` | {default} | {_allowed(field)} | {field.description} |\n"


def _shown(value: object) -> str:
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _allowed(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(field.annotation) if choice)
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
    texts = []
    for limit in metadata:
        if limit is NoDecode:
            continue
        match limit:
            case Gt(gt=value):
                texts.append(f"above {_shown(value)}")
            case Ge(ge=value):
                texts.append(f"from {value:,}")
            case Le(le=value):
                texts.append(f"to {value:,}")
            case MultipleOf(multiple_of=value):
                texts.append(f"in steps of {value}")
            case _:
                raise TypeError(f"no text for the limit {limit!r}")
    return " " + ", ".join(texts) if texts else ""


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    print(f"Wrote docs/{PAGE.name}")
