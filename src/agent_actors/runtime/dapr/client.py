"""The SDK's actor client, over the sidecar's HTTP API (docs/dapr-behaviour.md)."""

import asyncio

import aiohttp
from dapr.clients.base import DAPR_REENTRANCY_ID_HEADER, DaprActorClientBase
from dapr.common.reentrancy_context import reentrancy_ctx

from agent_actors.clock import Clock
from agent_actors.errors import Deactivated, Defect, Unavailable, Unreachable
from agent_actors.protocol.ids import ActorRef
from agent_actors.runtime.dapr.sidecar import SidecarClient, SidecarResponse, failure, part

_UNTIL_DECIDED = aiohttp.ClientTimeout(total=None)
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
"""Seconds between two tries of a call while its actor has no host."""
_NO_PLACE = ("did not find address", "failed to lookup actor", "placement is disconnected")


class DaprActorClient(DaprActorClientBase):
    """Calls, state, reminders and timers of actors.

    A call may take `deadline` seconds, with finding the actor's host.
    """

    def __init__(self, sidecar: SidecarClient, clock: Clock, deadline: float) -> None:
        self._sidecar = sidecar
        self._clock = clock
        self._deadline = deadline
        self._undecided: dict[ActorRef, asyncio.Task[None]] = {}

    async def invoke_method(
        self, actor_type: str, actor_id: str, method: str, data: bytes | None = None
    ) -> bytes:
        """Runs one turn and returns its result; waits while the actor has no host.

        Raises:
            Unreachable: The actor has no host within the deadline, or the call failed on its way.
            Defect: The sidecar will never accept the call.
        """
        path = f"{_actor(actor_type, actor_id)}/method/{part(method)}"
        reentrancy = reentrancy_ctx.get()
        headers = {DAPR_REENTRANCY_ID_HEADER: reentrancy} if reentrancy else None
        end = self._clock.monotonic() + self._deadline
        pause = FIRST_PAUSE
        while True:
            try:
                answer = await self._sidecar.send("POST", path, data or b"", headers)
            except Unavailable as error:
                raise Unreachable(error.detail) from None
            if answer.ok:
                return answer.body
            if not _unplaced(answer) or self._clock.monotonic() + pause > end:
                failed = failure(answer, f"{actor_type}.{method}")
                raise failed if isinstance(failed, Defect) else Unreachable(failed.detail)
            await self._clock.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def save_state_transactionally(self, actor_type: str, actor_id: str, data: bytes) -> None:
        """Saves all changes or none; returns once the sidecar confirms it.

        A caller that gives up leaves the save undecided: until it has ended, nothing of this
        actor is read or saved in this process, or a save that lands late would be overlooked
        (rule 13, docs/protocol.md).

        Raises:
            Deactivated: The actor is not active at this sidecar; nothing was saved.
            Unavailable: The store is unavailable; the changes may have been saved.
        """
        actor = ActorRef(actor_type, actor_id)
        await self._decided(actor)
        saving = asyncio.create_task(self._save(actor, data))
        try:
            await asyncio.shield(saving)
        except asyncio.CancelledError:
            self._undecided[actor] = saving
            saving.add_done_callback(lambda task: self._decide(actor, task))
            raise

    async def get_state(self, actor_type: str, actor_id: str, name: str) -> bytes:
        """The saved JSON, or no bytes if there is none; waits for no turn.

        Raises:
            Unavailable: The store is unavailable.
        """
        if self._undecided:
            await self._decided(ActorRef(actor_type, actor_id))
        path = f"{_actor(actor_type, actor_id)}/state/{part(name)}"
        answer = await self._sidecar.send("GET", path)
        # Only 204 means that there is none (I6).
        if answer.status == 204 or (answer.ok and answer.body):
            return answer.body
        raise failure(answer, f"a read of {actor_type}")

    async def register_reminder(
        self, actor_type: str, actor_id: str, name: str, data: bytes
    ) -> None:
        """Registers a reminder with the scheduler, in place of one of the same name."""
        await self._sidecar.ask("PUT", _named(actor_type, actor_id, "reminders", name), data)

    async def unregister_reminder(self, actor_type: str, actor_id: str, name: str) -> None:
        """Removes a reminder, if it is there."""
        await self._sidecar.ask("DELETE", _named(actor_type, actor_id, "reminders", name))

    async def register_timer(self, actor_type: str, actor_id: str, name: str, data: bytes) -> None:
        """Starts a timer of an active actor in the sidecar's memory, in place of its namesake."""
        await self._sidecar.ask("PUT", _named(actor_type, actor_id, "timers", name), data)

    async def unregister_timer(self, actor_type: str, actor_id: str, name: str) -> None:
        """Stops a timer, if it is there."""
        await self._sidecar.ask("DELETE", _named(actor_type, actor_id, "timers", name))

    async def _save(self, actor: ActorRef, data: bytes) -> None:
        path = f"{_actor(*actor)}/state"
        # Without a timeout of its own, so that an undecided save ends with an answer or with the
        # connection; and a POST, since aiohttp resends a PUT by itself.
        answer = await self._sidecar.send("POST", path, data, patience=_UNTIL_DECIDED)
        if answer.ok:
            return
        if answer.code == "ERR_ACTOR_INSTANCE_MISSING":
            raise Deactivated("The actor lives elsewhere by now; send the request again.")
        raise failure(answer, f"the save of {actor.type}")

    async def _decided(self, actor: ActorRef) -> None:
        """Waits for a save whose caller gave up; the next read sees its result."""
        saving = self._undecided.get(actor)
        if saving is not None:
            await asyncio.wait({saving})

    def _decide(self, actor: ActorRef, saving: "asyncio.Task[None]") -> None:
        if self._undecided.get(actor) is saving:
            del self._undecided[actor]
        if not saving.cancelled():
            saving.exception()  # Marks it as retrieved: nobody waits for it any more.


def _actor(actor_type: str, actor_id: str) -> str:
    return f"actors/{part(actor_type)}/{part(actor_id)}"


def _named(actor_type: str, actor_id: str, kind: str, name: str) -> str:
    return f"{_actor(actor_type, actor_id)}/{kind}/{part(name)}"


def _unplaced(answer: SidecarResponse) -> bool:
    """Does the actor have no host? Then nothing ran, and the call may be sent again."""
    if answer.code in {"ERR_ACTOR_NO_ADDRESS", "ERR_ACTOR_NO_PLACEMENT"}:
        return True
    message = answer.message
    return any(words in message for words in _NO_PLACE) and "actor service" not in message
