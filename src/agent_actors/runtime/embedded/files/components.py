"""Dapr's component files, as far as the embedded runtime uses them.

It reads pub/sub names, subscriptions, secret stores and bindings; everything else is ignored.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from agent_actors.errors import StartupError
from agent_actors.forms.file import read_file
from agent_actors.protocol.codec import adapter, fields

_EVENT_TYPE = re.compile(r"""\s*event\.type\s*==\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*""")
_VERSION = "dapr.io/v2alpha1"
FILE_STORE = "secretstores.local.file"
ENVIRONMENT_STORE = "secretstores.local.env"
SERVED_STORES = frozenset({FILE_STORE, ENVIRONMENT_STORE})
"""The types of secret stores that the embedded runtime has."""

_PACKAGE = Path(__file__).parents[3]
_DEFAULTS = (Path("components"), _PACKAGE / "components", _PACKAGE.parents[1] / "components")
"""Tried in this order: the user's own, the copy in the package, the one of a source checkout."""

Model = TypeVar("Model", bound=BaseModel)


class _Item(BaseModel):
    """A value in a component's metadata."""

    name: str
    value: str | bool | int | float


class _BindingItem(_Item):
    """Has no value if the value is in a secret store or in the environment."""

    value: str | bool | int | float | None = None  # type: ignore[assignment]


class Component(BaseModel):
    """A component: a pub/sub, a secret store, a binding.

    `metadata` has lower-case names, because Dapr ignores their case. It is read for bindings and
    for the secret stores of the embedded runtime; for all other types it is empty.
    """

    model_config = ConfigDict(frozen=True)

    path: Path
    name: str = Field(validation_alias=AliasPath("metadata", "name"))
    type: str = Field(validation_alias=AliasPath("spec", "type"))
    metadata: dict[str, str] = Field({}, validation_alias=AliasPath("spec", "metadata"))

    @field_validator("metadata", mode="before")
    @classmethod
    def _values(cls, items: object, info: ValidationInfo) -> dict[str, str]:
        kind = info.data.get("type", "")
        if kind not in SERVED_STORES and not kind.startswith("bindings."):
            return {}
        form = _Item if kind in SERVED_STORES else _BindingItem
        read = adapter(list[form] | None).validate_python(items) or ()  # type: ignore[valid-type]
        # As Dapr passes them to a component.
        values = {each.name.lower(): each.value for each in read if each.value is not None}
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in values.items()
        }

    def bad(self, reason: str) -> StartupError:
        """The error that says why the component cannot be used."""
        return _bad(self.path, reason)


def _event_type(match: str) -> str:
    found = _EVENT_TYPE.fullmatch(match)
    if found is None:
        raise ValueError(f"""the rule {match!r} is not of the form 'event.type == "x"'""")
    return found.group(1) if found.group(1) is not None else found.group(2)


_Route = Annotated[str, Field(pattern="^/")]


class Rule(BaseModel):
    """The route for events of one type."""

    event_type: Annotated[str, AfterValidator(_event_type)] = Field(validation_alias="match")
    path: _Route


class Subscription(BaseModel):
    """The routes for the events of a topic: of the first rule that matches, else `default`."""

    model_config = ConfigDict(frozen=True)

    pubsub: str = Field(validation_alias=AliasPath("spec", "pubsubname"))
    topic: str = Field(validation_alias=AliasPath("spec", "topic"))
    rules: tuple[Rule, ...] = Field((), validation_alias=AliasPath("spec", "routes", "rules"))
    default: _Route | None = Field(None, validation_alias=AliasPath("spec", "routes", "default"))
    dead_letter_topic: Annotated[str | None, AfterValidator(lambda topic: topic or None)] = Field(
        None, validation_alias=AliasPath("spec", "deadLetterTopic")
    )
    raw_payload: bool = Field(False, validation_alias=AliasPath("spec", "metadata", "rawPayload"))

    @property
    def paths(self) -> frozenset[str]:
        """Every path to which events of the topic may go."""
        paths = frozenset(rule.path for rule in self.rules)
        return paths if self.default is None else paths | {self.default}

    def route(self, event_type: str) -> str | None:
        """The route for events of that type, if there is one."""
        matching = (rule.path for rule in self.rules if rule.event_type == event_type)
        return next(matching, self.default)


@dataclass(frozen=True, slots=True)
class Components:
    """The contents of the component files."""

    pubsubs: frozenset[str] = frozenset()
    subscriptions: tuple[Subscription, ...] = ()
    secret_stores: tuple[Component, ...] = ()
    bindings: tuple[Component, ...] = ()


def find(configured: Path | None) -> Path | None:
    """The folder of the component files, or a list of folders, if there is one.

    Raises:
        StartupError: A configured folder does not exist.
    """
    if configured is None:
        return next((folder for folder in _DEFAULTS if folder.is_dir()), None)
    for folder in _folders(configured):
        if not folder.is_dir():
            raise StartupError(f"AGENT_ACTORS_COMPONENTS: there is no folder {str(folder)!r}.")
    return configured


def _folders(listed: Path) -> list[Path]:
    """The folders of a list that is written like PATH; mostly it is one folder."""
    return [Path(name) for name in str(listed).split(os.pathsep)]


def read(folder: Path | None) -> Components:
    """The components in the files of a folder, or of a list of folders; none without a folder.

    Raises:
        StartupError: A file cannot be used; the text names it and says why.
    """
    found = [*documents(folder)] if folder is not None else []
    components = [
        _validated(Component, path, document | {"path": path})
        for path, document in found
        if document.get("kind") == "Component"
    ]
    pubsubs = frozenset(each.name for each in components if each.type.startswith("pubsub."))
    subscriptions: dict[tuple[str, str], Subscription] = {}
    for path, document in found:
        if document.get("kind") != "Subscription":
            continue
        each = _subscription(path, document)
        if (each.pubsub, each.topic) in subscriptions:
            raise _bad(path, f"the topic {each.topic!r} has a subscription already")
        if each.pubsub not in pubsubs:
            raise _bad(path, f"there is no pub/sub component {each.pubsub!r}")
        subscriptions[each.pubsub, each.topic] = each
    return Components(
        pubsubs,
        tuple(subscriptions.values()),
        _of_kind("secretstores.", components),
        _of_kind("bindings.", components),
    )


def require(known: Components, folder: Path | None, topics: Iterable[tuple[str, str]]) -> None:
    """Refuses to start if a subscription is missing: its events would be lost silently.

    Raises:
        StartupError: One of the topics (component and topic) has none; the text names the folder.
    """
    subscribed = {(each.pubsub, each.topic) for each in known.subscriptions}
    for pubsub, topic in topics:
        if (pubsub, topic) not in subscribed:
            raise StartupError(
                f"The component files in {str(folder)!r} have no Subscription to the topic"
                f" {topic!r} of {pubsub!r}; add it, or set AGENT_ACTORS_COMPONENTS to a folder"
                " that has it."
            )


def documents(listed: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every document in the files of a folder, or of a list of folders, with its file.

    Raises:
        StartupError: A file cannot be read; the text names it.
    """
    folders = _folders(listed)
    paths = [sorted((*each.glob("*.yaml"), *each.glob("*.yml"))) for each in folders]
    for path in chain.from_iterable(paths):
        try:
            for document in _parsed(read_file(path).decode()):
                if isinstance(document, dict):
                    yield path, document
                elif document is not None:
                    raise _bad(path, "a document is not a mapping")
        except yaml.YAMLError as error:
            line = getattr(getattr(error, "problem_mark", None), "line", None)
            at = "" if line is None else f" (line {line + 1})"
            raise _bad(path, f"it is not YAML{at}") from None
        except (OSError, ValueError, RecursionError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise _bad(path, f"it cannot be read ({reason})") from None


@lru_cache(maxsize=16)
def _parsed(text: str) -> tuple[object, ...]:
    """The documents of a file. Remembered: parsing them takes half of the time of `create_app`.

    `dev` and `doctor` read the same files several times, and a process of tests hundreds of times.
    """
    return tuple(yaml.safe_load_all(text))


def _of_kind(prefix: str, components: Iterable[Component]) -> tuple[Component, ...]:
    found: dict[str, Component] = {}
    for each in components:
        if not each.type.startswith(prefix):
            continue
        if each.name in found:
            raise each.bad(f"there is a component {each.name!r} of its kind already")
        found[each.name] = each
    return tuple(found.values())


def _subscription(path: Path, document: dict[str, Any]) -> Subscription:
    if document.get("apiVersion") != _VERSION:
        raise _bad(path, f"a Subscription must have apiVersion {_VERSION}")
    subscription = _validated(Subscription, path, document)
    if subscription.default is None and not subscription.rules:
        raise _bad(path, "a Subscription must have routes.default or routes.rules")
    _require_single(path, document)
    if subscription.raw_payload:
        raise _bad(path, "rawPayload works with daprd only: here every event is a CloudEvent")
    return subscription


def require_single_events(listed: Path) -> None:
    """Refuses a Subscription in bulk, for the files that a sidecar is started with.

    Raises:
        StartupError: One delivers several events in one body, which no route takes.
    """
    for path, document in documents(listed):
        if document.get("kind") == "Subscription":
            _require_single(path, document)


def _require_single(path: Path, document: dict[str, Any]) -> None:
    spec = document.get("spec")
    bulk = spec.get("bulkSubscribe") if isinstance(spec, dict) else None
    if isinstance(bulk, dict) and str(bulk.get("enabled")).lower() == "true":
        raise _bad(path, "bulkSubscribe is not supported; remove it: events are taken one by one")


def _validated(model: type[Model], path: Path, document: dict[str, Any]) -> Model:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise _bad(path, fields(error)) from None


def _bad(path: Path, reason: str) -> StartupError:
    return StartupError(f"The component file {str(path)!r} cannot be used: {reason}.")
