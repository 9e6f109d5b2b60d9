"""The Dapr sidecar, and the components that it has loaded."""

import re
from collections.abc import Iterator
from typing import Any

from agent_actors.doctor.files import TOPICS
from agent_actors.doctor.finding import Context, Findings, Report
from agent_actors.doctor.thread import in_thread
from agent_actors.engine import binaries
from agent_actors.errors import AgentError, Defect, StartupError
from agent_actors.runtime.dapr.sidecar import SidecarClient

WITHIN = 5.0
"""Seconds for one request."""
_report = Report("sidecar")


async def check_no_sidecar(context: Context) -> Findings:
    """DAPR_HTTP_PORT is not set: a failure in a pod; elsewhere `dev` can start a sidecar."""
    if context.in_pod:
        return _report.fail(
            "this pod has none: DAPR_HTTP_PORT is not set",
            "recreate the pod while Dapr's injector runs (docs/kubernetes.md)",
        )
    try:
        number = await in_thread(lambda: binaries.version(binaries.find().daprd))
    except StartupError as error:
        why, _, remedy = str(error).rstrip(".").partition("; ")
        return _report.fail(
            f"DAPR_HTTP_PORT is not set, and no sidecar can be started: {why}",
            remedy or "docs/dapr.md explains how to get Dapr",
        )
    return _report.warn(
        "DAPR_HTTP_PORT is not set",
        f"`agent-actors dev --runtime dapr` starts a sidecar (Dapr {number}) and prints its port:"
        " set DAPR_HTTP_PORT to it",
    )


async def check_sidecar(context: Context, sidecar: SidecarClient) -> Findings:
    """The sidecar answers, accepts our token, is new enough and is ready."""
    port = context.settings.dapr_http_port
    try:
        metadata = await sidecar.metadata(WITHIN)
        health = await sidecar.send("GET", "healthz/outbound")
    except AgentError as error:
        return _unreachable(context, error)
    number = str(metadata.get("runtimeVersion") or "of unknown version")
    digits = re.match(r"(\d+)\.(\d+)", number)  # A version such as "edge" is a custom build.
    if digits is not None and tuple(map(int, digits.groups())) < binaries.OLDEST:
        context.no_metadata = "the sidecar is too old"
        oldest = ".".join(map(str, binaries.OLDEST))
        return _report.fail(f"Dapr {number} is older than {oldest}", "upgrade Dapr")
    if not health.ok:
        context.no_metadata = "the sidecar is not ready"
        return _report.fail(
            f"Dapr {number} on port {port} is not ready (healthz {health.status})",
            "its log says which component or server it waits for",
        )
    context.metadata = metadata
    return _report.ok(f"Dapr {number} on port {port}, app id {metadata.get('id')!r}")


def _unreachable(context: Context, error: AgentError) -> Findings:
    """Tells the errors of `SidecarClient.metadata` apart, partly by their texts."""
    port = context.settings.dapr_http_port
    if "DAPR_API_TOKEN" in error.detail:
        context.no_metadata = "the sidecar rejects our token"
        return _report.fail(
            f"the sidecar on port {port} rejects our DAPR_API_TOKEN",
            "set the same DAPR_API_TOKEN for both",
        )
    if isinstance(error, Defect):
        return _report.fail(
            f"the program on port {port} is not a sidecar",
            "set DAPR_HTTP_PORT to the sidecar's HTTP port",
        )
    if "cannot be reached" not in error.detail:
        return _report.fail(f"the sidecar on port {port} returned an error", "check its log")
    start = f"start one: `dapr run --dapr-http-port {port} …` (docs/dapr.md)"
    return _report.fail(
        f"no sidecar answers on port {port} (DAPR_HTTP_PORT)",
        "check the log of the pod's container daprd" if context.in_pod else start,
    )


async def check_components(context: Context) -> Findings:
    """The sidecar has loaded what the service needs, and delivers the topics it subscribes to."""
    report = Report("components")
    metadata = context.metadata
    if metadata is None:
        return report.skip(context.no_metadata)
    subscriptions = _objects(metadata.get("subscriptions"))
    if missing := list(_missing(context, metadata)):
        return [finding for gap in missing for finding in report.fail(*gap)]
    if foreign := list(_foreign(subscriptions)):
        return [finding for each in foreign for finding in report.fail(*each)]
    without = [
        str(each.get("topic"))
        for each in subscriptions
        if _topic(each) in TOPICS and not each.get("deadLetterTopic")
    ]
    if without:
        return report.warn(
            f"without a deadLetterTopic: {', '.join(without)}",
            "add it to the Subscription, or events that cannot be applied are lost",
        )
    names = sorted(
        f"{each.get('name')} ({each.get('type')} {each.get('version')})"
        for each in _objects(metadata.get("components"))
    )
    return report.ok(", ".join(names))


def _missing(context: Context, metadata: dict[str, Any]) -> Iterator[tuple[str, str]]:
    loaded = _objects(metadata.get("components"))
    types = {str(each.get("name")): str(each.get("type")) for each in loaded}
    advice = "add its file to the sidecar's components folder (docs/dapr.md)"
    if not has_actor_store(metadata):
        yield "no state store that supports actors", f"use statestore.yaml: {advice}"
    for pubsub in sorted({pubsub for pubsub, _ in TOPICS}):
        if not types.get(pubsub, "").startswith("pubsub."):
            yield f"no pub/sub component {pubsub!r}", advice
    binding = context.settings.sms_binding
    if binding is not None and not types.get(binding, "").startswith("bindings."):
        yield f"no binding {binding!r} (AGENT_ACTORS_SMS_BINDING)", advice
    subscribed = {_topic(each) for each in _objects(metadata.get("subscriptions"))}
    for pubsub, topic in TOPICS:
        if (pubsub, topic) not in subscribed:
            yield (
                f"no Subscription to the topic {topic!r} of {pubsub!r}",
                "add its file; if it is there, the sidecar's log says why it was rejected",
            )


def _foreign(subscriptions: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Subscriptions to our topics whose events do not arrive at our routes."""
    for each in subscriptions:
        ours = TOPICS.get(_topic(each))
        paths = sorted({str(rule.get("path")) for rule in _objects(each.get("rules"))})
        if ours is not None and paths and ours not in paths:
            yield (
                f"events of {each.get('topic')!r} go to {', '.join(paths)}, not to {ours}",
                "correct that Subscription, or remove it: Dapr takes the first that it reads",
            )


def has_actor_store(metadata: dict[str, Any]) -> bool:
    """Has the sidecar loaded a state store of a type that supports actors?"""
    loaded = _objects(metadata.get("components"))
    return any("ACTOR" in (each.get("capabilities") or ()) for each in loaded)


def _topic(subscription: dict[str, Any]) -> tuple[Any, Any]:
    return subscription.get("pubsubname"), subscription.get("topic")


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
