"""Runs turns for HTTP callers: sends each to ChatAgent, and waits until its outcome is stored."""

import asyncio
import functools
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from agent_actors.errors import AgentError, Busy, Unavailable, Unreachable
from agent_actors.observability.counters import Counters
from agent_actors.protocol.clients import ChatClient
from agent_actors.protocol.messages import ProcessTurn, Turn, TurnState
from agent_actors.retry import RetryPolicy, retry
from agent_actors.settings import Settings
from agent_actors.state.reader import StateReader
from agent_actors.turns.bell import TurnBell
from agent_actors.turns.drain import Drain

T = TypeVar("T")

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
"""Seconds between two reads of the store; the bell does not ring if the turn ends elsewhere."""
PAUSE_SHARE = 0.05
"""A pause is this share of the time waited so far, so that no wait is much longer for it."""
UNKNOWN_FATE = {500, 503}
"""Statuses of errors after which the turn may have been saved all the same."""

Gone = Callable[[], Awaitable[bool]]
"""Whether a caller has disconnected."""


class TurnRunner:
    """Runs turns for the callers of `POST /chat/{actor_id}`."""

    def __init__(
        self,
        chat: ChatClient,
        reader: StateReader,
        bell: TurnBell,
        drain: Drain,
        settings: Settings,
        counters: Counters | None = None,
    ) -> None:
        self._chat = chat
        self._reader = reader
        self._bell = bell
        self._drain = drain
        self._clock = drain.clock
        self._settings = settings
        self._counters = counters or Counters()
        self.longest = settings.wait_time
        """The longest wait of a caller, in seconds."""
        self._callers: Counter[str] = Counter()
        """Callers that run or wait for a turn, by conversation."""
        self._calls: Counter[str] = Counter()
        """Calls of ChatAgent that are under way, by conversation."""
        self._tasks: set[asyncio.Task[Any]] = set()

    async def answer(
        self, conversation: str, turn: Turn, wait: float, gone: Gone | None = None
    ) -> TurnState:
        """Runs a turn. Returns its outcome, or where it stands after `wait` seconds.

        The wait ends early when the caller is gone.

        Raises:
            Busy: Too many callers wait for this conversation.
            AgentError: The turn has failed; `turn_id` and `retry` tell what the caller can do.
        """
        self.check_open()
        begun = self._clock.monotonic()
        if self._callers[conversation] >= self._settings.queue_length:
            self._counters.turn_ended("message", "busy")
            raise Busy("Too many callers wait for this actor; send this message again later.")
        with _counted(self._callers, conversation):
            state = await self._process(conversation, turn, wait)
            if state.status in {"queued", "running"} and wait > 0:
                state = await self._wait(conversation, state, begun, begun + wait, gone)
        return state

    async def turn(self, conversation: str, turn_id: str) -> TurnState:
        """Where a turn stands; raises as `StateReader.turn`."""
        return await self._reader.turn(conversation, turn_id)

    def check_open(self) -> None:
        """Refuses new messages while the process stops, by `Unavailable`."""
        if self._drain.begun:
            raise Unavailable("The service is stopping; send the message again.")

    async def _process(self, conversation: str, turn: Turn, wait: float) -> TurnState:
        """Sends the turn to ChatAgent."""
        # With another call under way this one does not wait for the model: it would hold the actor
        # for up to the parking time, and the calls behind it would stand in line unsaved. With no
        # wait it is queued durably.
        first = self._calls[conversation] == 0
        request = ProcessTurn(turn, min(wait, self._settings.parking_time) if first else 0.0)
        # Until a result comes back: a turn sent twice runs once (I3, docs/protocol.md).
        policy = RetryPolicy(FIRST_PAUSE, LONGEST_PAUSE, time=self._settings.call_time)
        call = functools.partial(self._chat.process, conversation, request)
        try:
            with _counted(self._calls, conversation):
                return await self._shielded(retry(call, policy, on=Unreachable, clock=self._clock))
        except AgentError as error:
            raise with_advice(error, turn) from None

    async def _shielded(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs work to its end, even if the caller disconnects and this task is cancelled.

        Not a `Background` task: it belongs to the caller's trace, and its error is the caller's.
        """
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _wait(
        self, conversation: str, state: TurnState, begun: float, deadline: float, gone: Gone | None
    ) -> TurnState:
        """Reads the store, at each ring of the bell and after each pause, until the turn ends."""
        with self._bell.listen(conversation) as bell:
            while state.status in {"queued", "running"}:
                now = self._clock.monotonic()
                left = min(deadline - now, self._drain.left())
                if left <= 0 or (gone is not None and await gone()):
                    break
                pause = min(max(FIRST_PAUSE, (now - begun) * PAUSE_SHARE), LONGEST_PAUSE)
                try:
                    async with self._clock.timeout(min(pause, left)):
                        await bell.wait()
                    bell.clear()
                except TimeoutError:
                    pass
                with suppress(Unavailable):  # The turn is stored; the store will come back.
                    state = await self.turn(conversation, state.turn_id)
        return state


@contextmanager
def _counted(counter: Counter[str], conversation: str) -> Iterator[None]:
    """Counts one more while the block runs; a count of zero is removed."""
    counter[conversation] += 1
    try:
        yield
    finally:
        counter[conversation] -= 1
        if not counter[conversation]:
            del counter[conversation]


def with_advice(error: AgentError, turn: Turn) -> AgentError:
    """The error with the turn's id, and with advice that fits a message without a key."""
    if error.status in UNKNOWN_FATE:
        error.turn_id = turn.turn_id
    if not turn.key_hash and error.retry == "same-key":
        error.retry = "no" if error.turn_id else "new-key"
        if error.turn_id:
            cause = error.detail.partition(";")[0].rstrip(".")
            error.detail = f"{cause}; ask for the turn before you send the message again."
    return error
