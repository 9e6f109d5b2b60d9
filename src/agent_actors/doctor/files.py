"""The component files: whether they can be used, and mistakes that Dapr accepts silently."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from agent_actors.doctor.finding import Context, Findings, Report
from agent_actors.doctor.thread import in_thread
from agent_actors.errors import StartupError
from agent_actors.protocol import wire
from agent_actors.runtime.embedded.files import components
from agent_actors.runtime.embedded.files.outputs import SMS, RecordedOutputs
from agent_actors.runtime.embedded.files.secrets import SecretStores
from agent_actors.runtime.embedded.kafka.component import KAFKA, read_inputs
from agent_actors.settings import Settings

TOPICS = {
    (wire.PUBSUB, wire.USER_CHAT): "/subscribe",
    (wire.LESSON_PUBSUB, wire.CONVERSATIONS): "/conversations",
    (wire.LESSON_PUBSUB, wire.MESSAGES): "/messages",
}
"""The topics of the service and their routes; without the first, nothing is remembered."""


async def check_embedded_files(context: Context) -> Findings:
    """The files are valid and complete for the embedded runtime, which is strict about them."""
    report = Report("components")
    return await in_thread(lambda: _checked(report, context.settings, strict=True))


async def check_dapr_files(context: Context) -> Findings:
    """The sidecar's files, where they are named: its API does not show what is in them."""
    report = Report("files")
    if context.settings.components is None:
        return report.skip(
            "the sidecar does not show the values in its component files",
            "set AGENT_ACTORS_COMPONENTS to their folder",
        )
    return await in_thread(lambda: _checked(report, context.settings, strict=False))


def _checked(report: Report, settings: Settings, *, strict: bool) -> Findings:
    try:
        where = components.find(settings.components)
        known = read_components(where)
        if strict:  # The same as `EmbeddedRuntime` requires.
            components.require(known, where, list(TOPICS)[:1])
            SecretStores.open(known.secret_stores).require(settings.secret_store)
            RecordedOutputs(known.bindings).require(settings.sms_binding)
            read_inputs(known.bindings)
        documents = [each for _, each in components.documents(where)] if where else []
    except StartupError as error:
        why, _, remedy = str(error).rstrip(".").partition("; ")
        if why.startswith("AGENT_ACTORS_COMPONENTS"):
            remedy = remedy or "set it to the folder of the component files"
        elif why.startswith("AGENT_ACTORS_"):
            remedy = remedy or "add its component file (docs/dapr.md), or unset the variable"
        return report.fail(
            why, remedy or "correct the file or remove it; docs/dapr.md describes ours"
        )
    mistakes = [
        *_mistakes(documents),
        *(
            (
                f"events of {each.topic!r} go to {', '.join(sorted(each.paths))}, not to {ours}",
                "correct the routes of its Subscription, or nothing of them is applied",
            )
            for each in known.subscriptions
            if (ours := TOPICS.get((each.pubsub, each.topic))) and ours not in each.paths
        ),
        *(
            (
                f"the subscription to {each.topic!r} of {each.pubsub!r} has no deadLetterTopic",
                "add it, or Dapr loses events that cannot be applied",
            )
            for each in known.subscriptions
            if (each.pubsub, each.topic) in TOPICS and each.dead_letter_topic is None
        ),
    ]
    if mistakes:
        return [finding for mistake in mistakes for finding in report.warn(*mistake)]
    number = sum(each.get("kind") == "Component" for each in documents)
    return report.ok(f"{number} components, {len(known.subscriptions)} subscriptions: {where}")


def read_components(where: Path | None) -> components.Components:
    """Reads the component files, but no pipe or device: opening one could block forever.

    Raises:
        StartupError: One is not a regular file, or not valid.
    """
    for folder in str(where).split(os.pathsep) if where else ():
        for path in (*Path(folder).glob("*.yaml"), *Path(folder).glob("*.yml")):
            _require_file(path, f"The component file {str(path)!r}")
    known = components.read(where)
    for store in known.secret_stores:
        secrets = store.metadata.get("secretsfile")
        if store.type == components.FILE_STORE and secrets:
            _require_file(Path(secrets), f"The secretsFile {secrets!r} of {store.name!r}")
    return known


def _require_file(path: Path, name: str) -> None:
    if path.exists() and not path.is_file():
        raise StartupError(f"{name} cannot be used: it is not a regular file.")


def _mistakes(documents: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for document in documents:
        if document.get("kind") != "Component":
            continue
        kind, name = document["spec"]["type"], document["metadata"]["name"]
        items = document["spec"].get("metadata") or ()
        # Dapr ignores the case of metadata names.
        values = {
            str(each["name"]).lower(): str(each.get("value", "")).lower()
            for each in items
            if isinstance(each, Mapping) and "name" in each
        }
        if kind.startswith("state.") and values.get("actorstatestore") != "true":
            yield (
                f'the state store {name!r} has no `actorStateStore: "true"`',
                "add it: Dapr keeps the state of actors nowhere else",
            )
        if kind == "state.redis" and "writetimeout" in values:
            yield (
                f"{name!r} has a writeTimeout: Dapr 1.18 then writes everything twice",
                "remove it; readTimeout applies to writes, too",
            )
        if kind == KAFKA and values.get("consumeretryenabled") != "true":
            yield (
                f'{name!r} has no `consumeRetryEnabled: "true"`: a record that fails is lost',
                "add it",
            )
        if kind == SMS and "tonumber" in values:
            yield f"{name!r} has a toNumber: one phone gets everybody's SMS", "remove it"
