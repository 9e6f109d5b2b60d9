"""The sidecar of the dapr runtime, and the components that it has loaded."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from agent_actors.doctor.files import TOPICS
from agent_actors.doctor.finding import Finding, Report
from agent_actors.doctor.seen import Seen
from agent_actors.engine import binaries
from agent_actors.errors import AgentError, StartupError
from agent_actors.runtime.dapr.sidecar import Sidecar
from agent_actors.settings import Settings

WITHIN = 5.0
"""Seconds for one question."""


class NoSidecarCheck:
    """No sidecar is named: is there a Dapr that `dev` could start?"""

    name = "sidecar"

    async def look(self) -> Sequence[Finding]:
        """Which Dapr there is."""
        report = Report(self.name)
        advice = "`dapr run` and Kubernetes set DAPR_HTTP_PORT; here export it yourself"
        try:
            found = binaries.find()
            number = binaries.version(found.daprd)
        except StartupError as error:
            return report.fail(f"DAPR_HTTP_PORT names none, and: {error}", advice)
        return report.warn(
            f"DAPR_HTTP_PORT names none; `agent-actors dev --runtime dapr` starts Dapr {number}",
            advice,
        )


class SidecarCheck:
    """The sidecar answers, knows our token, and is new enough.

    Args:
        sidecar: The sidecar, started.
        settings: Its port.
        seen: Is told what it says of itself.
    """

    name = "sidecar"

    def __init__(self, sidecar: Sidecar, settings: Settings, seen: Seen) -> None:
        self._sidecar = sidecar
        self._port = settings.dapr_http_port
        self._seen = seen

    async def look(self) -> Sequence[Finding]:
        """Its version, and whether it may be used."""
        report = Report(self.name)
        try:
            told = await self._sidecar.metadata(WITHIN)
            healthy = await self._sidecar.send("GET", "healthz/outbound")
        except AgentError as error:
            return report.fail(f"on port {self._port}: {error.detail}", _advice(error))
        number = str(told.get("runtimeVersion") or "of unknown version")
        if _older(number):
            oldest = ".".join(map(str, binaries.OLDEST))
            return report.fail(f"Dapr {number} is older than {oldest}", "upgrade Dapr")
        if not healthy.ok:
            return report.fail(
                f"Dapr {number} on port {self._port} is not ready (healthz {healthy.status})",
                "its log says which component or server it waits for",
            )
        self._seen.sidecar = told
        return report.ok(f"Dapr {number} on port {self._port}, app id {told.get('id')!r}")


def _advice(error: AgentError) -> str:
    if "DAPR_API_TOKEN" in error.detail:
        return "give both the same DAPR_API_TOKEN"
    return "start it, or let DAPR_HTTP_PORT name the port that it has"


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
            return report.skip("the sidecar does not say what it has loaded")
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
