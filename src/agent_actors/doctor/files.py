"""The component files: whether they can be used, and the traps that they are known to have."""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from agent_actors.doctor.aside import aside
from agent_actors.doctor.finding import Finding, Report
from agent_actors.errors import StartupError
from agent_actors.protocol import wire
from agent_actors.runtime.embedded.files import components
from agent_actors.runtime.embedded.files.outputs import SMS, RecordedOutputs
from agent_actors.runtime.embedded.files.secrets import SecretStores
from agent_actors.runtime.embedded.kafka.component import KAFKA, read_inputs
from agent_actors.settings import Settings

Trap = tuple[str, str]
"""What is wrong, and what to do."""

TOPICS = (
    (wire.PUBSUB, wire.USER_CHAT),
    (wire.LESSON_PUBSUB, wire.CONVERSATIONS),
    (wire.LESSON_PUBSUB, wire.MESSAGES),
)
"""What this service subscribes to: without the first nothing is remembered."""
_REDIS = "state.redis"


class FilesCheck:
    """The component files are of their form, and in no known trap.

    Args:
        settings: Where they are, and what must be among them.
        strict: As the embedded runtime, which refuses to start with some; Dapr has its own rules.
    """

    def __init__(self, settings: Settings, *, strict: bool) -> None:
        self.name = "components" if strict else "files"
        self._settings = settings
        self._strict = strict

    async def look(self) -> Sequence[Finding]:
        """What cannot be used, else each trap, else how many there are."""
        report = Report(self.name)
        if not self._strict and self._settings.components is None:
            return report.skip(
                "the sidecar does not show its components' values",
                "set AGENT_ACTORS_COMPONENTS to the folder of their files",
            )
        return await aside(self._looked)

    def _looked(self) -> Sequence[Finding]:
        report = Report(self.name)
        try:
            where = components.find(self._settings.components)
            known = read(where)
            if self._strict:
                self._require(known, where)
            listed = [each for _, each in components.documents(where)] if where else []
        except StartupError as error:
            return report.fail(*_unusable(str(error)))
        traps = [*_traps(listed), *_without_dead_letters(known)]
        if traps:
            return [each for trap in traps for each in report.warn(*trap)]
        number = sum(each.get("kind") == "Component" for each in listed)
        return report.ok(f"{number} components, {len(known.subscriptions)} subscriptions: {where}")

    def _require(self, known: components.Components, where: Any) -> None:
        """What `EmbeddedRuntime.open` requires of them."""
        components.require(known, where, TOPICS[:1])
        SecretStores.open(known.secret_stores).require(self._settings.secret_store)
        RecordedOutputs(known.bindings).require(self._settings.sms_binding)
        read_inputs(known.bindings)


def read(where: Path | None) -> components.Components:
    """What the component files say; none is opened that could keep us for ever, as a pipe does.

    Raises:
        StartupError: One is no file, or not of its form.
    """
    folders = [Path(name) for name in str(where).split(os.pathsep)] if where else []
    for path in chain.from_iterable(
        (*each.glob("*.yaml"), *each.glob("*.yml")) for each in folders
    ):
        _require_file(path, f"The component file {str(path)!r}")
    known = components.read(where)
    for store in known.secret_stores:
        named = store.metadata.get("secretsfile")
        if store.type == components.FILE_STORE and named:
            _require_file(Path(named), f"The secretsFile {named!r} of {store.name!r}")
    return known


def _require_file(path: Path, named: str) -> None:
    if path.exists() and not path.is_file():
        raise StartupError(f"{named} cannot be used: it is no file.")


def _unusable(text: str) -> Trap:
    """What a start would say of them; some of it says what to do, too."""
    why, _, remedy = text.rstrip(".").partition("; ")
    if why.startswith("AGENT_ACTORS_COMPONENTS"):
        remedy = remedy or "set it to the folder of the component files"
    elif why.startswith("AGENT_ACTORS_"):
        remedy = remedy or "add its component file (docs/dapr.md), or unset the variable"
    return why, remedy or "mend the file, or take it away; docs/dapr.md has ours"


def _traps(listed: Sequence[Mapping[str, Any]]) -> Iterator[Trap]:
    for document in listed:
        if document.get("kind") == "Component":
            values = _values(document)
            kind, name = document["spec"]["type"], document["metadata"]["name"]
            yield from _trap_of(kind, name, values)


def _values(document: Mapping[str, Any]) -> dict[str, str]:
    """The metadata of a component; Dapr does not tell cases of their names apart."""
    items = document["spec"].get("metadata") or ()
    named = [each for each in items if isinstance(each, Mapping) and "name" in each]
    return {str(each["name"]).lower(): str(each.get("value", "")).lower() for each in named}


def _trap_of(kind: str, name: str, values: Mapping[str, str]) -> Iterator[Trap]:
    if kind.startswith("state.") and values.get("actorstatestore") != "true":
        yield (
            f'the state store {name!r} has no `actorStateStore: "true"`',
            "add it: Dapr keeps actors nowhere else",
        )
    if kind == _REDIS and "writetimeout" in values:
        yield (
            f"{name!r} has a writeTimeout: Dapr 1.18 then writes everything twice",
            "remove it; readTimeout holds for both",
        )
    if kind == KAFKA and values.get("consumeretryenabled") != "true":
        yield (
            f'{name!r} has no `consumeRetryEnabled: "true"`: a message that fails is lost',
            "add it",
        )
    if kind == SMS and "tonumber" in values:
        yield (
            f"{name!r} has a toNumber: one phone gets the SMS of everybody",
            "remove it",
        )


def _without_dead_letters(known: components.Components) -> Iterator[Trap]:
    ours = [each for each in known.subscriptions if (each.pubsub, each.topic) in TOPICS]
    for each in ours:
        if each.dead_letter_topic is None:
            yield (
                f"the subscription to {each.topic!r} of {each.pubsub!r} has no deadLetterTopic",
                "add it, or what cannot be applied is lost on Dapr",
            )
