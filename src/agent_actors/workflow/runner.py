"""Runs turns as workflows for HTTP callers, follows each workflow to its end, and purges it."""

import asyncio
from collections.abc import Awaitable, Callable

from agent_actors.background import Background
from agent_actors.conversation.runner import TurnRunner, with_advice
from agent_actors.errors import AgentError, Gone, NotFound, Unavailable
from agent_actors.observability.counters import Counters
from agent_actors.protocol.clients import ChatClient
from agent_actors.protocol.messages import Problem, Turn, TurnState
from agent_actors.settings import Settings
from agent_actors.state.reader import StateReader
from agent_actors.state.turn_position import check_body
from agent_actors.turns.bell import TurnBell
from agent_actors.turns.drain import Drain
from agent_actors.workflow.client import WorkflowProgress, Workflows
from agent_actors.workflow.turn import TurnOrder

LONGEST_WAIT = 60.0
"""Seconds that a caller waits for a workflow at most; then it gets 202."""
FOLLOW_TIME = 60
"""Seconds that one call waits for the end of a workflow, before the next call does."""
RETRY_PAUSE = 1.0
"""Seconds before an unavailable sidecar is called again."""
FAILED_TIME = 60.0
"""Seconds before a failed workflow is purged: how the turn ended is known from it alone."""
CLEARED_TIME = 1.0
"""The same if the turn was cleared meanwhile: a waiting caller still gets to know."""


class WorkflowTurnRunner(TurnRunner):
    """A `TurnRunner` that has workflows run the turns; the bell also rings when one has ended."""

    def __init__(  # noqa: PLR0913 - Its collaborators.
        self,
        chat: ChatClient,
        reader: StateReader,
        bell: TurnBell,
        drain: Drain,
        settings: Settings,
        workflows: Workflows,
        counters: Counters | None = None,
    ) -> None:
        super().__init__(chat, reader, bell, drain, settings, counters)
        self.longest = min(LONGEST_WAIT, settings.wait_time)
        self._workflows = workflows
        self._followed: dict[str, TurnOrder] = {}
        self._following = Background("a workflow was not followed to its end")

    async def turn(self, conversation: str, turn_id: str) -> TurnState:
        """Where a turn stands, stored or in a workflow; raises as `StateReader.turn`."""
        try:
            return await self._reader.turn(conversation, turn_id)
        except NotFound:
            followed = self._followed.get(turn_id)
            if followed is not None and _belongs_to(followed, conversation):
                return TurnState(turn_id, "running")
            progress = await self._workflows.progress(turn_id)
            if progress is None or not _belongs_to(progress.order, conversation):
                # Between the two reads it may have been stored, and its workflow purged.
                return await self._reader.turn(conversation, turn_id)
            return await self._state_of(progress)

    async def stop(self) -> None:
        """Stops following workflows. Idempotent."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._following.stop()

    async def _process(self, conversation: str, turn: Turn, wait: float) -> TurnState:  # noqa: ARG002 - only the caller waits
        """Starts the turn's workflow, unless the turn is known already."""
        order = TurnOrder(conversation, turn)
        try:
            known = await self._known(order)
            if known is None:
                await self._shielded(self._start(order))
        except AgentError as error:
            raise with_advice(error, turn) from None
        return known or TurnState(turn.turn_id, "running")

    async def _known(self, order: TurnOrder) -> TurnState | None:
        turn = order.turn
        for followed in self._followed.values():
            same = followed.conversation == order.conversation
            if same and turn.key_hash and followed.turn.key_hash == turn.key_hash:
                _require_same_user(followed, turn)
                check_body(followed.turn.body_hash, turn.body_hash)
                return TurnState(turn.turn_id, "running")
        return await self._reader.sent_turn(order.conversation, turn)

    async def _start(self, order: TurnOrder) -> None:
        if not await self._workflows.schedule(order):
            running = await self._workflows.progress(order.turn.turn_id)
            if running is not None:
                _require_same_user(running.order, order.turn)
        self.follow(order)

    async def _state_of(self, progress: WorkflowProgress) -> TurnState:
        """Where a turn stands, by its workflow; one that has ended has stored it, or failed."""
        turn = progress.order.turn
        if progress.status == "running":
            return TurnState(turn.turn_id, "running")
        try:
            return await self._reader.turn(progress.order.conversation, turn.turn_id)
        except NotFound:
            if progress.ended is not None and progress.ended.error is not None:
                return progress.ended
            cause = "A step of this turn failed each time it was tried; send the message again."
            error = with_advice(Unavailable(cause, turn_id=turn.turn_id), turn)
            return TurnState(turn.turn_id, "failed", error=Problem.of(error))

    # -- after the start --------------------------------------------------------------------------

    def follow(self, order: TurnOrder) -> None:
        """Follows a workflow to its end, wakes the callers that wait for it, and purges it.

        Purging removes the message and the reply from the sidecar's store.
        """
        if order.turn.turn_id not in self._followed:
            self._followed[order.turn.turn_id] = order
            self._following.begin(self._follow(order))

    async def _follow(self, order: TurnOrder) -> None:
        turn_id = order.turn.turn_id
        try:
            await self._until(lambda: self._workflows.ended(turn_id, FOLLOW_TIME))
        finally:
            del self._followed[turn_id]
            self._bell.ring(order.conversation)
        try:
            known = await self._reader.sent_turn(order.conversation, order.turn)
            needed = FAILED_TIME if known is None else 0.0
        except Gone:
            needed = CLEARED_TIME
        except AgentError:
            needed = FAILED_TIME
        await self._clock.sleep(needed)
        await self._until(lambda: self._workflows.purge(turn_id))

    async def _until(self, done: Callable[[], Awaitable[bool]]) -> None:
        """Calls until the result is true, however long the sidecar is unavailable."""
        while True:
            try:
                if await done():
                    return
            except Unavailable:
                await self._clock.sleep(RETRY_PAUSE)


def _belongs_to(order: TurnOrder, conversation: str) -> bool:
    """Whether a turn is in this conversation, or in a session of the user with its name."""
    return conversation in {order.conversation, order.turn.user}


def _require_same_user(running: TurnOrder, turn: Turn) -> None:
    """Refuses another user; a session has no stored owner before its first turn is committed."""
    if running.turn.user != turn.user:
        raise NotFound("There is no such session of this user.")
