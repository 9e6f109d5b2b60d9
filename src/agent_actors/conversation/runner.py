"""Runs turns for callers: lets them in, calls ChatAgent, and waits for what is saved."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from agent_actors.errors import AgentError, Busy, Unavailable, Unreachable
from agent_actors.observability.counters import Counters
from agent_actors.protocol.clients import ChatClient
from agent_actors.protocol.messages import ProcessTurn, Turn, TurnState
from agent_actors.settings import Settings
from agent_actors.state.reader import StateReader
from agent_actors.turns.bell import TurnBell
from agent_actors.turns.drain import Drain

T = TypeVar("T")

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
"""Seconds between two looks at what is saved, when no bell rings: the turn may end elsewhere."""
LATER = 0.05
"""Between these two, a pause is that share of the wait so far: nobody waits much longer for it."""
UNKNOWN_FATE = {500, 503}
"""Errors after which the turn may have been saved all the same."""


Gone = Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class CallerWait:
    """How long a caller waits: until a time of the monotonic clock, or until he has gone."""

    begun: float
    deadline: float
    gone: Gone | None

    def pause(self, now: float) -> float:
        """Seconds until the next look."""
        return min(max(FIRST_PAUSE, (now - self.begun) * LATER), LONGEST_PAUSE)


class TurnRunner:
    """What `POST /chat/{actor_id}` does.

    Args:
        chat: Calls ChatAgent.
        saved: What the store has.
        settled: Wakes who waits.
        stopping: When a stopping process lets its callers go.
        settings: The parking time, how long a lost call is sent again, and how many callers of one
            conversation may wait.
    """

    def __init__(
        self,
        chat: ChatClient,
        reader: StateReader,
        bell: TurnBell,
        stopping: Drain,
        settings: Settings,
    ) -> None:
        self._chat = chat
        self._reader = reader
        self._bell = bell
        self._stopping = stopping
        self._clock = stopping.clock
        self._parking_time = settings.parking_time
        self._call_time = settings.call_time
        self._queue_length = settings.queue_length
        self.counters = Counters()
        """Counts who is not let in; the composition gives the process's."""
        self.longest = settings.wait_time
        """Seconds that a caller is kept waiting at most."""
        self._callers: Counter[str] = Counter()
        self._inside: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def answer(
        self, conversation: str, turn: Turn, wait: float, gone: Gone | None = None
    ) -> TurnState:
        """The turn's end, or where it is after `wait` seconds.

        Args:
            conversation: Its id.
            turn: What was said.
            wait: Seconds that the caller wants to wait.
            gone: Whether the caller has left; then nobody waits for him.

        Raises:
            Busy: Too many callers wait for this conversation.
            AgentError: The turn could not be taken; its `turn_id` and `retry` say what to do.
        """
        self.check_open()
        begun = self._clock.monotonic()
        with self._admitted(conversation):
            state = await self._process(conversation, turn, wait)
            if state.status in {"queued", "running"} and wait > 0:
                patience = CallerWait(begun, begun + wait, gone)
                state = await self._wait(conversation, state, patience)
        return state

    async def turn(self, conversation: str, turn_id: str) -> TurnState:
        """Where a turn is.

        Raises:
            NotFound: It is not saved, not yet or not any more.
            Gone: Its answer was cleared.
        """
        return await self._reader.turn(conversation, turn_id)

    def check_open(self) -> None:
        """Nothing, as long as new messages are taken.

        Raises:
            Unavailable: The service is stopping.
        """
        if self._stopping.begun:
            raise Unavailable("The service is stopping; send the message again.")

    async def _process(self, conversation: str, turn: Turn, wait: float) -> TurnState:
        """Asks ChatAgent, in a task of its own: a caller that leaves does not cut the turn."""
        # Whoever comes while another turn is with the actor is queued durably: in line for the
        # actor, each turn before this one could keep it for the parking time, unsaved.
        alone = self._inside[conversation] == 0
        request = ProcessTurn(turn, min(wait, self._parking_time) if alone else 0.0)
        try:
            with _counted(self._inside, conversation):
                call = self._spawn(self._call(conversation, request))
                return await asyncio.shield(call)
        except AgentError as error:
            raise advised(error, turn) from None

    async def _call(self, conversation: str, request: ProcessTurn) -> TurnState:
        """Calls until an answer comes back: a turn that is sent twice happens once (I3)."""
        end = self._clock.monotonic() + self._call_time
        pause = FIRST_PAUSE
        while True:
            try:
                return await self._chat.process(conversation, request)
            except Unreachable:
                if self._clock.monotonic() + pause > end:
                    raise
            await self._clock.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _wait(self, conversation: str, state: TurnState, patience: "CallerWait") -> TurnState:
        """Looks at what is saved, at each ring and now and then, as long as the caller waits."""
        with self._bell.listen(conversation) as bell:
            while state.status in {"queued", "running"}:
                now = self._clock.monotonic()
                left = min(patience.deadline - now, self._stopping.left())
                if left <= 0 or (patience.gone is not None and await patience.gone()):
                    break
                await self._heard(bell, min(patience.pause(now), left))
                state = await self._look(conversation, state)
        return state

    async def _look(self, conversation: str, state: TurnState) -> TurnState:
        try:
            return await self._reader.turn(conversation, state.turn_id)
        except Unavailable:
            # The store is away for a moment; the turn is saved, so the caller goes on waiting.
            return state

    async def _heard(self, bell: asyncio.Event, seconds: float) -> None:
        try:
            async with self._clock.timeout(seconds):
                await bell.wait()
        except TimeoutError:
            return
        bell.clear()

    @contextmanager
    def _admitted(self, conversation: str) -> Iterator[None]:
        if self._callers[conversation] >= self._queue_length:
            self.counters.turn_ended("message", "busy")
            raise Busy("Too many callers wait for this actor; send this message again later.")
        with _counted(self._callers, conversation):
            yield

    def _spawn(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


@contextmanager
def _counted(counter: Counter[str], conversation: str) -> Iterator[None]:
    """One more while the block runs; what has none is not kept."""
    counter[conversation] += 1
    try:
        yield
    finally:
        counter[conversation] -= 1
        if not counter[conversation]:
            del counter[conversation]


def advised(error: AgentError, turn: Turn) -> AgentError:
    """The error with the turn it is about, and advice that fits a message without a key."""
    if error.status in UNKNOWN_FATE:
        error.turn_id = turn.turn_id
    if not turn.key_hash and error.retry == "same-key":
        error.retry = "no" if error.turn_id else "new-key"
        if error.turn_id:
            cause = error.detail.partition(";")[0].rstrip(".")
            error.detail = f"{cause}; ask for the turn before you send the message again."
    return error
