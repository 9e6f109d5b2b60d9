"""Turns whose callers wait for a workflow: started, followed to the end, and erased there."""

import asyncio
from collections.abc import Awaitable, Callable

from agent_actors.conversation.runner import TurnRunner, advised
from agent_actors.errors import AgentError, Gone, Invalid, NotFound, Unavailable
from agent_actors.protocol.clients import ChatClient
from agent_actors.protocol.messages import Problem, Turn, TurnState
from agent_actors.settings import Settings
from agent_actors.state.reader import StateReader
from agent_actors.turns.bell import TurnBell
from agent_actors.turns.drain import Drain
from agent_actors.workflow.client import WorkflowProgress, Workflows
from agent_actors.workflow.turn import TurnOrder

LOOK = 60
"""Seconds that one call waits for the end of a workflow; then the next one does."""
LONGEST_WAIT = 60.0
"""Seconds that a caller waits for a workflow at most; then it gets 202."""
AWAY = 1.0
"""Seconds before an absent sidecar is asked again."""
SHOWN = 60.0
"""Seconds for which a workflow is kept that failed: only it knows how the turn ended."""
MOMENT = 1.0
"""The same where what was said was cleared meanwhile: who waits still hears of it."""


class WorkflowTurnRunner(TurnRunner):
    """`TurnRunner`, of turns that workflows carry.

    Args:
        chat: As in `TurnRunner`.
        saved: What the store has; a turn's end is there.
        settled: Wakes who waits.
        stopping: When a stopping process lets its callers go.
        settings: As in `TurnRunner`, and how long a caller waits for a workflow.
        workflows: The sidecar's.
    """

    def __init__(
        self,
        chat: ChatClient,
        reader: StateReader,
        bell: TurnBell,
        stopping: Drain,
        settings: Settings,
        workflows: Workflows,
    ) -> None:
        super().__init__(chat, reader, bell, stopping, settings)
        self.longest = min(LONGEST_WAIT, settings.wait_time)
        self._workflows = workflows
        self._followed: dict[str, TurnOrder] = {}

    async def turn(self, conversation: str, turn_id: str) -> TurnState:
        """Where a turn is: saved, or still on its way.

        Raises:
            NotFound: Nobody knows it, not yet or not any more.
            Gone: Its answer was cleared.
        """
        try:
            return await self._reader.turn(conversation, turn_id)
        except NotFound:
            if self._follows(conversation, turn_id):
                return TurnState(turn_id, "running")
            standing = await self._workflows.standing(turn_id)
            if standing is None or not _concerns(standing.order, conversation):
                # It may have been saved, and the workflow erased, between the two looks.
                return await self._reader.turn(conversation, turn_id)
            return await self._end_of(standing)

    async def stop(self) -> None:
        """Follows no workflow any more. Idempotent."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _process(self, conversation: str, turn: Turn, wait: float) -> TurnState:  # noqa: ARG002 - nobody waits here
        """Starts the workflow, in a task of its own: a caller that leaves does not cut that."""
        order = TurnOrder(conversation, turn)
        try:
            known = await self._known(order)
            if known is None:
                await asyncio.shield(self._spawn(self._start(order)))
        except AgentError as error:
            raise advised(error, turn) from None
        return known or TurnState(turn.turn_id, "running")

    async def _known(self, order: TurnOrder) -> TurnState | None:
        turn = order.turn
        for followed in self._followed.values():
            same = followed.conversation == order.conversation
            if same and turn.key_hash and followed.turn.key_hash == turn.key_hash:
                _require_same_user(followed, turn)
                if followed.turn.body_hash != turn.body_hash:
                    raise Invalid("This Idempotency-Key was used with another message.")
                return TurnState(turn.turn_id, "running")
        return await self._reader.known(order.conversation, turn)

    async def _start(self, order: TurnOrder) -> None:
        if not await self._workflows.schedule(order):
            running = await self._workflows.standing(order.turn.turn_id)
            if running is not None:
                _require_same_user(running.order, order.turn)
        self.follow(order)

    async def _look(self, conversation: str, state: TurnState) -> TurnState:
        try:
            return await self.turn(conversation, state.turn_id)
        except Unavailable:
            # The store or the sidecar is away for a moment; the workflow goes on after it.
            return state

    async def _end_of(self, standing: WorkflowProgress) -> TurnState:
        """Where a turn is whose workflow is known."""
        turn = standing.order.turn
        if standing.status == "running":
            return TurnState(turn.turn_id, "running")
        try:
            return await self._reader.turn(standing.order.conversation, turn.turn_id)
        except NotFound:
            if standing.ended is not None and standing.ended.error is not None:
                return standing.ended
            return TurnState(turn.turn_id, "failed", error=_given_up(turn))

    # -- until its end --------------------------------------------------------------------------

    def follow(self, order: TurnOrder) -> None:
        """Sees a workflow to its end, wakes who waits for it, and erases what was said in it."""
        if order.turn.turn_id not in self._followed:
            self._followed[order.turn.turn_id] = order
            self._spawn(self._follow(order))

    async def _follow(self, order: TurnOrder) -> None:
        turn_id = order.turn.turn_id
        try:
            await self._until(lambda: self._workflows.ended(turn_id, LOOK))
        finally:
            del self._followed[turn_id]
            self._bell.ring(order.conversation)
        await self._clock.sleep(await self._needed(order))
        await self._until(lambda: self._purged(turn_id))

    async def _until(self, done: Callable[[], Awaitable[bool]]) -> None:
        """Asks until it is so, however long the sidecar is away."""
        while True:
            try:
                if await done():
                    return
            except Unavailable:
                await self._clock.sleep(AWAY)

    async def _purged(self, turn_id: str) -> bool:
        await self._workflows.purge(turn_id)
        return True

    async def _needed(self, order: TurnOrder) -> float:
        """Seconds for which only the workflow can say how the turn ended."""
        try:
            known = await self._reader.known(order.conversation, order.turn)
        except Gone:
            return MOMENT
        except AgentError:
            return SHOWN
        return 0.0 if known else SHOWN

    def _follows(self, conversation: str, turn_id: str) -> bool:
        followed = self._followed.get(turn_id)
        return followed is not None and _concerns(followed, conversation)


def _concerns(order: TurnOrder, conversation: str) -> bool:
    """Is it a turn of that conversation, or in a session of the user named like it?"""
    return conversation in {order.conversation, order.turn.user}


def _require_same_user(running: TurnOrder, turn: Turn) -> None:
    """Before its first turn is stored a session is nobody's: its workflow says whose it will be."""
    if running.turn.user != turn.user:
        raise NotFound("There is no such session of this user.")


def _given_up(turn: Turn) -> Problem:
    """What is told of a turn of which a step failed each time."""
    said = "A step of this turn failed each time it was tried; send the message again."
    error = Unavailable(said, turn_id=turn.turn_id)
    return Problem.of(advised(error, turn))
