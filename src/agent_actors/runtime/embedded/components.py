"""Dapr's component files, as far as this runtime heeds them: pub/sub names and subscriptions."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError

from agent_actors.errors import StartupError
from agent_actors.serializer import adapter, fields

_RULE = re.compile(r"""\s*event\.type\s*==\s*(?:"([^"\\]*)"|'([^'\\]*)')\s*""")
_VERSION = "dapr.io/v2alpha1"
_PACKAGE = Path(__file__).parents[2]
_DEFAULTS = (Path("components"), _PACKAGE / "components", _PACKAGE.parents[1] / "components")
"""Tried in this order: the user's own, the copy in the package, the one of a source checkout."""


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
class Components:
    """What the component files say."""

    pubsubs: frozenset[str] = frozenset()
    subscriptions: tuple[Subscription, ...] = ()


class _Rule(BaseModel):
    match: str
    path: str = Field(pattern="^/")


class _Routes(BaseModel):
    default: str | None = Field(None, pattern="^/")
    rules: list[_Rule] = Field(default_factory=list)


class _SubscriptionSpec(BaseModel):
    pubsubname: str
    topic: str
    routes: _Routes
    deadLetterTopic: str | None = None  # noqa: N815 - as Dapr spells it


class _Named(BaseModel):
    name: str


class _Type(BaseModel):
    type: str


class _ComponentDocument(BaseModel):
    metadata: _Named
    spec: _Type


class _SubscriptionDocument(BaseModel):
    spec: _SubscriptionSpec


def find(configured: Path | None) -> Path | None:
    """The folder of the component files, if there is one.

    Raises:
        StartupError: The configured one is not there.
    """
    if configured is None:
        return next((folder for folder in _DEFAULTS if folder.is_dir()), None)
    if not configured.is_dir():
        raise StartupError(f"AGENT_ACTORS_COMPONENTS: there is no folder {str(configured)!r}.")
    return configured


def read(folder: Path | None) -> Components:
    """What the files of a folder say; nothing where there is no folder.

    Raises:
        StartupError: A file is not of its form; the text names it and says why.
    """
    pubsubs: set[str] = set()
    subscriptions: dict[tuple[str, str], tuple[Path, Subscription]] = {}
    for path, document in _documents(folder) if folder is not None else ():
        kind = document.get("kind")
        if kind == "Component":
            component = _validated(path, document, _ComponentDocument)
            if component.spec.type.startswith("pubsub."):
                pubsubs.add(component.metadata.name)
        elif kind == "Subscription":
            subscription = _subscription(path, document)
            where = (subscription.pubsub, subscription.topic)
            if where in subscriptions:
                raise _bad(path, f"the topic {where[1]!r} has a subscription already")
            subscriptions[where] = path, subscription
    for path, subscription in subscriptions.values():
        if subscription.pubsub not in pubsubs:
            raise _bad(path, f"there is no pub/sub component {subscription.pubsub!r}")
    return Components(frozenset(pubsubs), tuple(each for _, each in subscriptions.values()))


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


def _documents(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
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


def _subscription(path: Path, document: dict[str, Any]) -> Subscription:
    if document.get("apiVersion") != _VERSION:
        raise _bad(path, f"a Subscription must have apiVersion {_VERSION}")
    spec = _validated(path, document, _SubscriptionDocument).spec
    if spec.routes.default is None and not spec.routes.rules:
        raise _bad(path, "a Subscription must have routes.default or routes.rules")
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


def _bad(path: Path, reason: str) -> StartupError:
    return StartupError(f"The component file {str(path)!r} cannot be used: {reason}.")
