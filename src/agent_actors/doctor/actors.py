"""Where the actors are: each type is hosted, answers a call, and has its state."""

import asyncio
from collections.abc import Sequence

from agent_actors.doctor.finding import Finding, Report
from agent_actors.doctor.seen import Seen
from agent_actors.doctor.sidecar import keeps_actors
from agent_actors.errors import AgentError
from agent_actors.protocol import wire
from agent_actors.runtime.dapr.sidecar import SidecarClient, SidecarResponse, part, section
from agent_actors.settings import Settings

_NONE = "~doctor"
"""The key and the reminder that are read: nobody has written them."""
_NO_REMINDER = "ERR_ACTOR_REMINDER_NOT_FOUND"
_REFUSED = "error from actor service: (403)"
_DEAF = "connection refused"


def types(settings: Settings, *, dapr: bool = True) -> tuple[str, ...]:
    """The actor types that a replica hosts; the embedded runtime keeps dead letters without one."""
    return (
        wire.CHAT,
        wire.RESPONSE,
        wire.MEMORY,
        wire.SESSION,
        wire.ANALYTICS,
        *((wire.LETTERS,) if dapr else ()),
        *((wire.NOTIFICATIONS,) if settings.sms_binding is not None else ()),
    )


class PlacementCheck:
    """Placement has our actors, a call reaches one of each type, and the state store answers.

    Args:
        sidecar: The sidecar, started.
        settings: Say which types there are.
        seen: What the sidecar says of itself, and whether the service answers.
    """

    name = "actors"

    def __init__(self, sidecar: SidecarClient, settings: Settings, seen: Seen) -> None:
        self._sidecar = sidecar
        self._types = types(settings)
        self._seen = seen
        self._report = Report(self.name)

    async def look(self) -> Sequence[Finding]:
        """The first thing that stops a call, from the table to the store."""
        if self._seen.sidecar is None:
            return self._report.skip(self._seen.silent)
        return (
            self._unplaced()
            or await self._deaf()
            or await self._stateless()
            or await self._unreminded()
            or self._report.ok(
                f"{len(self._types)} types answer; their state and reminders can be read"
            )
        )

    def _unplaced(self) -> Sequence[Finding]:
        table = section(self._seen.sidecar or {}, "actorRuntime")
        active = table.get("activeActors")
        hosted = {each.get("type") for each in active or () if isinstance(each, dict)}
        if not hosted and self._seen.service is None:
            return self._report.skip("the sidecar hosts none, since no service runs beside it")
        if not hosted:
            return self._report.fail(
                f"the sidecar hosts none ({table.get('placement', 'no placement')})",
                "let its --app-port be the port of the service, which runs",
            )
        if not table.get("hostReady") or table.get("runtimeStatus") != "RUNNING":
            return self._report.fail(
                f"their table is {table.get('runtimeStatus')} ({table.get('placement')})",
                "start the placement server that the sidecar was told of",
            )
        lacking = [each for each in self._types if each not in hosted]
        if lacking:
            return self._report.fail(
                f"not hosted here: {', '.join(lacking)}",
                "give doctor the settings of the service, or restart the service with these",
            )
        return []

    async def _deaf(self) -> Sequence[Finding]:
        answers = await asyncio.gather(*map(self._ping, self._types))
        for name, answer in zip(self._types, answers, strict=True):
            if answer is None or not answer.ok:
                return self._report.fail(f"{name} cannot be called: {_why(answer)}", _what(answer))
        return []

    async def _ping(self, name: str) -> SidecarResponse | None:
        path = f"actors/{part(name)}/{part(wire.READINESS)}/method/{part(wire.PING)}"
        try:
            return await self._sidecar.send("POST", path)
        except AgentError:
            return None

    async def _stateless(self) -> Sequence[Finding]:
        if not keeps_actors(self._seen.sidecar or {}):
            return self._report.fail("they have no state store", "see `components` above")
        path = f"actors/{wire.CHAT}/{part(wire.READINESS)}/state/{part(_NONE)}"
        try:
            answer = await self._sidecar.send("GET", path)
        except AgentError:
            # Dapr 1.18 breaks the connection off where no state store is that of the actors.
            return self._report.fail(
                "the sidecar breaks off when it is to read their state",
                'give the state store `actorStateStore: "true"`, and look at the sidecar\'s log',
            )
        if not answer.ok:
            return self._report.fail(
                f"their state cannot be read ({answer.code or answer.status})",
                "start the server of the state store; the sidecar's log has its words",
            )
        return []

    async def _unreminded(self) -> Sequence[Finding]:
        """Asked for, since the metadata go on to name a scheduler that has gone (Dapr 1.18)."""
        path = f"actors/{wire.CHAT}/{part(wire.READINESS)}/reminders/{part(_NONE)}"
        try:
            answer = await self._sidecar.send("GET", path)
        except AgentError:
            answer = SidecarResponse(500, b"")
        if answer.ok or answer.code == _NO_REMINDER:
            return []
        return self._report.fail(
            f"their reminders cannot be read ({answer.code or answer.status})",
            "start the scheduler that the sidecar was told of; its log has more",
        )


def _why(answer: SidecarResponse | None) -> str:
    if answer is None:
        return "the sidecar does not answer"
    if _REFUSED in answer.message:
        return "the service refuses the sidecar's token"
    if _DEAF in answer.message:
        return "the service has gone"
    return answer.code or str(answer.status)


def _what(answer: SidecarResponse | None) -> str:
    if answer is not None and _REFUSED in answer.message:
        return "start both with the same APP_API_TOKEN"
    if answer is not None and _DEAF in answer.message:
        return "start the service; the sidecar waits for it"
    return "look at the sidecar's log"


class EmbeddedActorsCheck:
    """In the embedded runtime the service says of itself whether actors can be called.

    Args:
        seen: Whether the service is ready.
    """

    name = "actors"

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    async def look(self) -> Sequence[Finding]:
        """That it has said so."""
        report = Report(self.name)
        if not self._seen.ready:
            return report.skip("they are in the service's process, and none is ready")
        return report.ok("the service says that they can be called")
