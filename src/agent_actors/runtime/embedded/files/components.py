"""Dapr's component files, as far as this runtime heeds them.

It takes pub/sub names, subscriptions, secret stores and bindings from them.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError

from agent_actors.errors import StartupError
from agent_actors.protocol.codec import adapter, fields

_RULE = re.compile(r"""\s*event\.type\s*==\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*""")
_VERSION = "dapr.io/v2alpha1"
FILE_STORE = "secretstores.local.file"
ENVIRONMENT_STORE = "secretstores.local.env"
SERVED_STORES = frozenset({FILE_STORE, ENVIRONMENT_STORE})
"""The secret stores that this runtime has."""

_PACKAGE = Path(__file__).parents[3]
_DEFAULTS = (Path("components"), _PACKAGE / "components", _PACKAGE.parents[1] / "components")
"""Tried in this order: the user's own, the copy in the package, the one of a source checkout."""

_Document = tuple[Path, dict[str, Any]]
"""A document of a component file, and the file."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where the events of a topic go.

    `rules` are pairs of an event type and a route; the first that matches wins, then `default`.
    """

    pubsub: str
    topic: str
    rules: tuple[tuple[str, str], ...]
    default: str | None
    dead_letter_topic: str | None

    def route(self, event_type: str) -> str | None:
        """The route for events of that type, if there is one."""
        return next((path for kind, path in self.rules if kind == event_type), self.default)


@dataclass(frozen=True, slots=True)
class SecretStore:
    """A secret store as its component file describes it.

    The names of its metadata are in lower case: Dapr does not tell cases apart.
    """

    name: str
    type: str
    path: Path
    metadata: dict[str, str] = field(default_factory=dict)

    def bad(self, reason: str) -> StartupError:
        """The error that says why it cannot be used."""
        return _bad(self.path, reason)


@dataclass(frozen=True, slots=True)
class Binding:
    """A binding as its component file describes it.

    The names of its metadata are in lower case; what lies in a secret store, or in the environment,
    is not among them.
    """

    name: str
    type: str
    path: Path
    metadata: dict[str, str] = field(default_factory=dict)

    def bad(self, reason: str) -> StartupError:
        """The error that says why it cannot be used."""
        return _bad(self.path, reason)


@dataclass(frozen=True, slots=True)
class Components:
    """What the component files say."""

    pubsubs: frozenset[str] = frozenset()
    subscriptions: tuple[Subscription, ...] = ()
    secret_stores: tuple[SecretStore, ...] = ()
    bindings: tuple[Binding, ...] = ()


Described = TypeVar("Described", SecretStore, Binding)


class _Rule(BaseModel):
    match: str
    path: str = Field(pattern="^/")


class _Routes(BaseModel):
    default: str | None = Field(None, pattern="^/")
    rules: list[_Rule] = Field(default_factory=list)


class _SubscriptionMetadata(BaseModel):
    rawPayload: bool = False  # noqa: N815 - as Dapr spells it


class _SubscriptionSpec(BaseModel):
    pubsubname: str
    topic: str
    routes: _Routes
    deadLetterTopic: str | None = None  # noqa: N815 - as Dapr spells it
    metadata: _SubscriptionMetadata | None = None


class _Named(BaseModel):
    name: str


class _Type(BaseModel):
    type: str


class _ComponentDocument(BaseModel):
    metadata: _Named
    spec: _Type


class _Item(BaseModel):
    name: str
    value: str | bool | int | float


class _SecretStoreSpec(BaseModel):
    metadata: list[_Item] | None = None


class _SecretStoreDocument(BaseModel):
    spec: _SecretStoreSpec


class _BindingItem(BaseModel):
    """An item with a value, or with a reference to where the value is."""

    name: str
    value: str | bool | int | float | None = None


class _BindingSpec(BaseModel):
    metadata: list[_BindingItem] | None = None


class _BindingDocument(BaseModel):
    spec: _BindingSpec


class _SubscriptionDocument(BaseModel):
    spec: _SubscriptionSpec


def find(configured: Path | None) -> Path | None:
    """The folder of the component files, or the list of them, if there is one.

    Raises:
        StartupError: A configured one is not there.
    """
    if configured is None:
        return next((folder for folder in _DEFAULTS if folder.is_dir()), None)
    for folder in _folders(configured):
        if not folder.is_dir():
            raise StartupError(f"AGENT_ACTORS_COMPONENTS: there is no folder {str(folder)!r}.")
    return configured


def _folders(listed: Path) -> list[Path]:
    """Those of a list as PATH has them; mostly it is one."""
    return [Path(name) for name in str(listed).split(os.pathsep)]


def read(folder: Path | None) -> Components:
    """What the files of a folder, or of a list of them, say; nothing where there is none.

    Raises:
        StartupError: A file is not of its form; the text names it and says why.
    """
    found = [*documents(folder)] if folder is not None else []
    described = [
        (path, document, _validated(path, document, _ComponentDocument))
        for path, document in found
        if document.get("kind") == "Component"
    ]
    pubsubs = frozenset(
        each.metadata.name for _, _, each in described if each.spec.type.startswith("pubsub.")
    )
    stores = [
        _secret_store(path, document, each)
        for path, document, each in described
        if each.spec.type.startswith("secretstores.")
    ]
    bindings = [
        _binding(path, document, each)
        for path, document, each in described
        if each.spec.type.startswith("bindings.")
    ]
    return Components(
        pubsubs,
        _subscriptions(found, pubsubs),
        tuple(_each_once(stores)),
        tuple(_each_once(bindings)),
    )


def require(known: Components, folder: Path | None, topics: Iterable[tuple[str, str]]) -> None:
    """Refuses components without which events would be lost without a word.

    Args:
        known: What the files say.
        folder: Where they are.
        topics: Pub/sub component and topic of each subscription that must be there.

    Raises:
        StartupError: One is missing; the text names it and the folder.
    """
    there = {(each.pubsub, each.topic) for each in known.subscriptions}
    for pubsub, topic in topics:
        if (pubsub, topic) not in there:
            raise StartupError(
                f"The component files in {str(folder)!r} have no Subscription to the topic"
                f" {topic!r} of {pubsub!r}; add it, or set AGENT_ACTORS_COMPONENTS to a folder"
                " that has it."
            )


def documents(listed: Path) -> Iterator[_Document]:
    """Each document of the files of a folder, or of a list of them, with its file.

    Raises:
        StartupError: A file cannot be read; the text names it.
    """
    folders = _folders(listed)
    paths = [sorted((*each.glob("*.yaml"), *each.glob("*.yml"))) for each in folders]
    for path in chain.from_iterable(paths):
        try:
            for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
                if isinstance(document, dict):
                    yield path, document
                elif document is not None:
                    raise _bad(path, "a document is not a mapping")
        except yaml.YAMLError as error:
            line = getattr(getattr(error, "problem_mark", None), "line", None)
            at = "" if line is None else f" (line {line + 1})"
            raise _bad(path, f"it is not YAML{at}") from None
        except (OSError, ValueError, RecursionError) as error:
            raise _bad(path, f"it cannot be read ({type(error).__name__})") from None


def _secret_store(
    path: Path, document: dict[str, Any], component: _ComponentDocument
) -> SecretStore:
    """Of a type that is not served here only the name matters: its metadata are Dapr's."""
    name, kind = component.metadata.name, component.spec.type
    if kind not in SERVED_STORES:
        return SecretStore(name, kind, path)
    items = _validated(path, document, _SecretStoreDocument).spec.metadata or ()
    return SecretStore(name, kind, path, {item.name.lower(): _text(item.value) for item in items})


def _binding(path: Path, document: dict[str, Any], component: _ComponentDocument) -> Binding:
    items = _validated(path, document, _BindingDocument).spec.metadata or ()
    values = {item.name.lower(): _text(item.value) for item in items if item.value is not None}
    return Binding(component.metadata.name, component.spec.type, path, values)


def _each_once(described: Iterable[Described]) -> Iterator[Described]:
    names: set[str] = set()
    for each in described:
        if each.name in names:
            raise each.bad(f"there is a component {each.name!r} of its kind already")
        names.add(each.name)
        yield each


def _subscriptions(
    documents: Iterable[_Document], pubsubs: frozenset[str]
) -> tuple[Subscription, ...]:
    found: dict[tuple[str, str], Subscription] = {}
    for path, document in documents:
        if document.get("kind") != "Subscription":
            continue
        subscription = _subscription(path, document)
        where = (subscription.pubsub, subscription.topic)
        if where in found:
            raise _bad(path, f"the topic {where[1]!r} has a subscription already")
        if subscription.pubsub not in pubsubs:
            raise _bad(path, f"there is no pub/sub component {subscription.pubsub!r}")
        found[where] = subscription
    return tuple(found.values())


def _subscription(path: Path, document: dict[str, Any]) -> Subscription:
    if document.get("apiVersion") != _VERSION:
        raise _bad(path, f"a Subscription must have apiVersion {_VERSION}")
    spec = _validated(path, document, _SubscriptionDocument).spec
    if spec.routes.default is None and not spec.routes.rules:
        raise _bad(path, "a Subscription must have routes.default or routes.rules")
    if spec.metadata is not None and spec.metadata.rawPayload:
        raise _bad(path, "rawPayload is only for daprd: here every event is a CloudEvent")
    rules = tuple((_event_type(path, rule.match), rule.path) for rule in spec.routes.rules)
    return Subscription(
        spec.pubsubname, spec.topic, rules, spec.routes.default, spec.deadLetterTopic or None
    )


def _event_type(path: Path, match: str) -> str:
    found = _RULE.fullmatch(match)
    if found is None:
        raise _bad(path, f"""the rule {match!r} is not of the form 'event.type == "x"'""")
    return found.group(1) if found.group(1) is not None else found.group(2)


def _validated(path: Path, document: dict[str, Any], form: Any) -> Any:
    try:
        return adapter(form).validate_python(document)
    except ValidationError as error:
        raise _bad(path, fields(error)) from None


def _text(value: str | bool | int | float) -> str:
    """A value as Dapr hands it to a component."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bad(path: Path, reason: str) -> StartupError:
    return StartupError(f"The component file {str(path)!r} cannot be used: {reason}.")
