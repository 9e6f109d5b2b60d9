"""The sidecar of the dapr runtime, and the components that it has loaded."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from agent_actors.doctor.aside import aside
from agent_actors.doctor.files import TOPICS
from agent_actors.doctor.finding import Finding, Report
from agent_actors.doctor.seen import Seen
from agent_actors.engine import binaries
from agent_actors.errors import AgentError, Defect, StartupError
from agent_actors.runtime.dapr.sidecar import SidecarClient
from agent_actors.settings import Settings

WITHIN = 5.0
"""Seconds for one question."""


class NoSidecarCheck:
    """No sidecar is named: who would start one here?

    Args:
        in_pod: Whether this is a pod of Kubernetes, whose injector does.
    """

    name = "sidecar"

    def __init__(self, *, in_pod: bool) -> None:
        self._in_pod = in_pod

    async def look(self) -> Sequence[Finding]:
        """Outside of a pod, which Dapr there is that `dev` could start."""
        report = Report(self.name)
        if self._in_pod:
            return report.fail(
                "the pod has none: DAPR_HTTP_PORT is not set",
                "have the pod made anew while Dapr's injector runs (docs/kubernetes.md)",
            )
        try:
            number = await aside(lambda: binaries.version(binaries.find().daprd))
        except StartupError as error:
            why, _, remedy = str(error).rstrip(".").partition("; ")
            return report.fail(
                f"DAPR_HTTP_PORT names none, and none can be started: {why}",
                remedy or "docs/dapr.md says how to get Dapr",
            )
        return report.warn(
            "DAPR_HTTP_PORT names none",
            f"`agent-actors dev --runtime dapr` starts one (Dapr {number}) and says its port:"
            " set DAPR_HTTP_PORT to that",
        )


class WithoutSidecarCheck:
    """What only a sidecar could tell.

    Args:
        name: Of the check that is made beside one.
        seen: Why there is none to ask.
    """

    def __init__(self, name: str, seen: Seen) -> None:
        self.name = name
        self._seen = seen

    async def look(self) -> Sequence[Finding]:
        """That it is not looked at, and why."""
        return Report(self.name).skip(self._seen.silent)


class SidecarCheck:
    """The sidecar answers, knows our token, and is new enough.

    Args:
        sidecar: The sidecar, started.
        settings: Its port.
        seen: Is told what it says of itself.
        in_pod: Whether this is a pod of Kubernetes, where it is a container of its own.
    """

    name = "sidecar"

    def __init__(
        self, sidecar: SidecarClient, settings: Settings, seen: Seen, *, in_pod: bool = False
    ) -> None:
        self._sidecar = sidecar
        self._port = settings.dapr_http_port
        self._seen = seen
        self._in_pod = in_pod
        self._report = Report(self.name)

    async def look(self) -> Sequence[Finding]:
        """Its version, and whether it may be used."""
        try:
            told = await self._sidecar.metadata(WITHIN)
            healthy = await self._sidecar.send("GET", "healthz/outbound")
        except AgentError as error:
            return self._unheard(error)
        number = str(told.get("runtimeVersion") or "of unknown version")
        if _older(number):
            self._seen.silent = "the sidecar is too old"
            oldest = ".".join(map(str, binaries.OLDEST))
            return self._report.fail(f"Dapr {number} is older than {oldest}", "upgrade Dapr")
        if not healthy.ok:
            self._seen.silent = "the sidecar is not ready"
            return self._report.fail(
                f"Dapr {number} on port {self._port} is not ready (healthz {healthy.status})",
                "its log says which component or server it waits for",
            )
        self._seen.sidecar = told
        return self._report.ok(f"Dapr {number} on port {self._port}, app id {told.get('id')!r}")

    def _unheard(self, error: AgentError) -> Sequence[Finding]:
        """Which of the errors of `SidecarClient.metadata` it is: the text says why."""
        if "DAPR_API_TOKEN" in error.detail:
            self._seen.silent = "the sidecar refuses us"
            return self._report.fail(
                f"the one on port {self._port} refuses our DAPR_API_TOKEN",
                "give both the same DAPR_API_TOKEN",
            )
        if isinstance(error, Defect):
            return self._report.fail(
                f"what answers on port {self._port} is no sidecar",
                "let DAPR_HTTP_PORT name the sidecar's HTTP port",
            )
        if "cannot be reached" not in error.detail:
            return self._report.fail(
                f"the one on port {self._port} could not answer", "its log says why"
            )
        start = f"start it there: `dapr run --dapr-http-port {self._port} …` (docs/dapr.md)"
        return self._report.fail(
            f"none can be reached on port {self._port}, which DAPR_HTTP_PORT names",
            "the log of the pod's container daprd says why" if self._in_pod else start,
        )


def _older(number: str) -> bool:
    """A version that is no number ("edge") is somebody's own build."""
    found = re.match(r"(\d+)\.(\d+)", number)
    return found is not None and tuple(map(int, found.groups())) < binaries.OLDEST


class LoadedCheck:
    """The sidecar has loaded what the service needs, and sends events to the right routes.

    Args:
        settings: The bindings and the secret store that are named.
        seen: What the sidecar says of itself.
    """

    name = "components"

    def __init__(self, settings: Settings, seen: Seen) -> None:
        self._settings = settings
        self._seen = seen

    async def look(self) -> Sequence[Finding]:
        """What is missing, each with what to do; else names, types and versions."""
        report = Report(self.name)
        told = self._seen.sidecar
        if told is None:
            return report.skip(self._seen.silent)
        loaded = _mappings(told.get("components"))
        missing = [*self._missing(loaded), *_undelivered(_mappings(told.get("subscriptions")))]
        if missing:
            return [each for gap in missing for each in report.fail(*gap)]
        lost = _lost_letters(_mappings(told.get("subscriptions")))
        if lost:
            return report.warn(
                f"without a deadLetterTopic: {', '.join(lost)}",
                "add it to the Subscription, or what cannot be applied is lost",
            )
        return report.ok(
            ", ".join(sorted(f"{each.get('name')} ({_kind(each)})" for each in loaded))
        )

    def _missing(self, loaded: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
        names = {str(each.get("name")): str(each.get("type")) for each in loaded}
        advice = "its file belongs into the sidecar's components folder (docs/dapr.md)"
        if not keeps_actors(self._seen.sidecar or {}):
            yield "no state store that actors can be kept in", f"add statestore.yaml; {advice}"
        for pubsub in sorted({pubsub for pubsub, _ in TOPICS}):
            if not names.get(pubsub, "").startswith("pubsub."):
                yield f"no pub/sub component {pubsub!r}", advice
        binding = self._settings.sms_binding
        if binding is not None and not names.get(binding, "").startswith("bindings."):
            yield f"no binding {binding!r} (AGENT_ACTORS_SMS_BINDING)", advice


def keeps_actors(told: dict[str, Any]) -> bool:
    """Has the sidecar a state store of a type that actors can be kept in?"""
    loaded = _mappings(told.get("components"))
    return any("ACTOR" in (each.get("capabilities") or ()) for each in loaded)


def _undelivered(subscriptions: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    there = {(each.get("pubsubname"), each.get("topic")) for each in subscriptions}
    for pubsub, topic in TOPICS:
        if (pubsub, topic) not in there:
            yield (
                f"no Subscription to the topic {topic!r} of {pubsub!r}",
                "add its file; the sidecar's log says why one that is there was refused",
            )


def _lost_letters(subscriptions: Sequence[dict[str, Any]]) -> list[str]:
    return [
        str(each.get("topic"))
        for each in subscriptions
        if (each.get("pubsubname"), each.get("topic")) in TOPICS and not each.get("deadLetterTopic")
    ]


def _kind(component: dict[str, Any]) -> str:
    return f"{component.get('type')} {component.get('version')}"


def _mappings(told: object) -> list[dict[str, Any]]:
    return [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
