"""The actors: each type is hosted and answers a call, and its state and reminders can be read."""

import asyncio

from agent_actors.doctor.finding import Context, Findings, Report
from agent_actors.doctor.sidecar import has_actor_store
from agent_actors.errors import AgentError
from agent_actors.protocol import wire
from agent_actors.protocol.clients import CLIENTS
from agent_actors.runtime.dapr.sidecar import SidecarClient, SidecarResponse, part, section
from agent_actors.settings import Settings

_NONE = "~doctor"
"""A state key and a reminder that nobody has written."""
_report = Report("actors")


def actor_types(settings: Settings, *, dapr: bool = True) -> tuple[str, ...]:
    """The types that a replica hosts; the embedded runtime keeps dead letters without an actor."""
    hosted = {wire.LETTERS: dapr, wire.NOTIFICATIONS: settings.sms_binding is not None}
    types = (client.actor_type for client in CLIENTS)
    return tuple(each for each in types if hosted.get(each, True))


async def check_embedded_actors(context: Context) -> Findings:
    """In the embedded runtime, the readiness of the service includes its actors."""
    if not context.ready:
        return _report.skip("they run inside the service, and no service is ready")
    return _report.ok("the service reports them ready")


async def check_actors(context: Context, sidecar: SidecarClient | None = None) -> Findings:
    """Reports the first problem on the way of a call: placement, service, state, reminders."""
    if sidecar is None or context.metadata is None:
        return _report.skip(context.no_metadata)
    types = actor_types(context.settings)
    return (
        _placement(context, types)
        or await _calls(sidecar, types)
        or await _state(context, sidecar)
        or await _reminders(sidecar)
        or _report.ok(f"{len(types)} types answer; their state and reminders can be read")
    )


def _placement(context: Context, types: tuple[str, ...]) -> Findings:
    runtime = section(context.metadata or {}, "actorRuntime")
    active = runtime.get("activeActors")
    hosted = {each.get("type") for each in active or () if isinstance(each, dict)}
    if not hosted and context.service is None:
        return _report.skip("the sidecar hosts none, since no service runs beside it")
    if not hosted:
        return _report.fail(
            f"the sidecar hosts none ({runtime.get('placement', 'no placement')})",
            "set the sidecar's --app-port to the port of the service, which is running",
        )
    if not runtime.get("hostReady") or runtime.get("runtimeStatus") != "RUNNING":
        return _report.fail(
            f"the placement table is {runtime.get('runtimeStatus')} ({runtime.get('placement')})",
            "start the placement server that the sidecar is configured for",
        )
    missing = [each for each in types if each not in hosted]
    if missing:
        return _report.fail(
            f"not hosted here: {', '.join(missing)}",
            "run doctor with the settings of the service, or restart the service with these",
        )
    return []


async def _calls(sidecar: SidecarClient, types: tuple[str, ...]) -> Findings:
    async def ping(name: str) -> SidecarResponse | None:
        path = f"actors/{part(name)}/{part(wire.READINESS)}/method/{part(wire.PING)}"
        try:
            return await sidecar.send("POST", path)
        except AgentError:
            return None

    answers = await asyncio.gather(*map(ping, types))
    for name, answer in zip(types, answers, strict=True):
        if answer is not None and answer.ok:
            continue
        reason, advice = "the sidecar does not answer", "check the sidecar's log"
        if answer is not None:
            reason = answer.code or str(answer.status)
            if "error from actor service: (403)" in answer.message:
                reason = "the service rejects the sidecar's token"
                advice = "start both with the same APP_API_TOKEN"
            elif "connection refused" in answer.message:
                reason = "the service is not running"
                advice = "start the service; the sidecar waits for it"
        return _report.fail(f"{name} cannot be called: {reason}", advice)
    return []


async def _state(context: Context, sidecar: SidecarClient) -> Findings:
    if not has_actor_store(context.metadata or {}):
        return _report.fail("they have no state store", "see `components` above")
    path = f"actors/{wire.CHAT}/{part(wire.READINESS)}/state/{part(_NONE)}"
    try:
        answer = await sidecar.send("GET", path)
    except AgentError:
        # Dapr 1.18 closes the connection if no state store has `actorStateStore`.
        return _report.fail(
            "the sidecar closes the connection when their state is read",
            'set `actorStateStore: "true"` in the state store, and check the sidecar\'s log',
        )
    if answer.ok:
        return []
    return _report.fail(
        f"their state cannot be read ({answer.code or answer.status})",
        "start the server of the state store; the sidecar's log has details",
    )


async def _reminders(sidecar: SidecarClient) -> Findings:
    # The metadata still name a scheduler that has gone (Dapr 1.18), so a reminder is read.
    path = f"actors/{wire.CHAT}/{part(wire.READINESS)}/reminders/{part(_NONE)}"
    try:
        answer = await sidecar.send("GET", path)
    except AgentError:
        answer = SidecarResponse(500, b"")
    if answer.ok or answer.code == "ERR_ACTOR_REMINDER_NOT_FOUND":
        return []
    return _report.fail(
        f"their reminders cannot be read ({answer.code or answer.status})",
        "start the scheduler that the sidecar is configured for; its log has details",
    )
