"""The model calls of this process, and how the ends of parked turns reach ChatAgent.

Calls belong to the process, not to an activation: putting ResponseAgent away and back in the same
process costs no second call (4.22, docs/protocol.md).
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from sys import getsizeof
from typing import Any, TypeVar

from agent_actors.clock import Clock
from agent_actors.errors import AgentError, ModelError, ModelFailed, ModelTimedOut, TryLater
from agent_actors.model import Model, Prompt
from agent_actors.observability import tracing
from agent_actors.observability.counters import CallEnd, Counters
from agent_actors.observability.logs import LogContext
from agent_actors.protocol import wire
from agent_actors.protocol.messages import Failure, Outcome, Problem, Reply

log = logging.getLogger(__name__)

PER_CONVERSATION = 8
"""Calls remembered for a conversation; finished ones are forgotten first."""
FINISHED = 2_048
"""Finished calls remembered in all, so that idle conversations cost no memory."""
FINISHED_BYTES = 16 * 1024 * 1024
"""The same, in bytes of memory."""
REPLY_BYTES = 1024 * 1024
"""What a model may say at once; more could be neither saved nor published everywhere."""
HAND_OVERS = 6
"""Times that the end of a parked turn is offered; then the recovery reminder asks for it."""
HAND_OVER_PAUSE = 0.1
"""Seconds before it is offered again; doubles each time."""

R = TypeVar("R")
Key = tuple[str, str]
Complete = Callable[[str, str, Outcome], Awaitable[None]]
"""Delivers the end of a parked turn: conversation, turn id, outcome."""


class Call:
    """One call of the model for one turn."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.awaited = False
        """ChatAgent was told *running* and waits for `CompleteTurn`."""
        self._done = asyncio.Event()

    @property
    def failed(self) -> bool:
        """Has it ended without an answer?"""
        return isinstance(self.outcome, Failure)

    @property
    def size(self) -> int:
        """Bytes of memory that its answer takes."""
        if not isinstance(self.outcome, Reply):
            return 0
        return getsizeof(self.outcome.content) + getsizeof(self.outcome.items)

    def finish(self, outcome: Outcome) -> None:
        """Sets the outcome and wakes who waits."""
        self.outcome = outcome
        self._done.set()

    async def wait(self) -> None:
        """Returns when there is an outcome."""
        await self._done.wait()


class ModelCalls:
    """Starts calls, keeps their outcomes, and hands the ends of parked turns over.

    Args:
        model: What answers.
        clock: For the model time.
        model_time: Seconds that a call may take.
        complete: Delivers the end of a parked turn; called outside any turn of an actor.
        counters: Counts the calls; by default one that nobody reads.
    """

    def __init__(
        self,
        model: Model,
        clock: Clock,
        model_time: float,
        complete: Complete,
        counters: Counters | None = None,
    ) -> None:
        self.model = model
        self._clock = clock
        self._model_time = model_time
        self._complete = complete
        self._counters = counters or Counters()
        self.running = 0
        """Calls that have not ended."""
        self._calls: dict[str, dict[str, Call]] = {}
        self._finished: OrderedDict[Key, Call] = OrderedDict()
        self._bytes = 0
        self._tasks: set[asyncio.Task[Any]] = set()

    def find(self, conversation: str, turn_id: str) -> Call | None:
        """The call of a turn, if this process knows one."""
        return self._calls.get(conversation, {}).get(turn_id)

    def start(self, prompt: Prompt) -> Call:
        """Starts the model for a turn, in a task of the process."""
        call = Call()
        self._forget(prompt.conversation, prompt.turn_id)
        self._make_room(prompt.conversation)
        self._calls.setdefault(prompt.conversation, {})[prompt.turn_id] = call
        self._spawn(self._run(call, prompt))
        return call

    async def drain(self, seconds: float) -> None:
        """Returns when no call runs any more, or after that many seconds."""
        if not self._tasks:
            return
        try:
            async with self._clock.timeout(seconds):
                await asyncio.wait(self._tasks)
        except TimeoutError:
            unfinished = sum(
                call.outcome is None for calls in self._calls.values() for call in calls.values()
            )
            if unfinished:
                log.warning("model calls cut off: %d; their turns start again", unfinished)

    async def stop(self) -> None:
        """Ends every call that still runs; their turns start again with the next process."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, R]) -> "asyncio.Task[R]":
        # An empty context: the task would inherit its caller's reentrancy id and be let in beside
        # a running turn (rule 7).
        task = asyncio.create_task(work, context=tracing.task_context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, call: Call, prompt: Prompt) -> None:
        with _acting(prompt):
            with tracing.span("invoke_agent agent-actors", attributes=_agent(prompt)):
                outcome = await self._counted(prompt)
                _tell(outcome)
            call.finish(outcome)
            self._remember(call, prompt)
            if call.awaited:
                await self._hand_over(call, prompt)

    async def _counted(self, prompt: Prompt) -> Outcome:
        began = self._counters.monotonic()
        name: str = ""
        end: CallEnd = "cut"
        self.running += 1
        try:
            outcome = await self._ask(prompt)
            name, end = _end(outcome)
        finally:
            self.running -= 1
            name = self._counters.model_called(name, end, self._counters.monotonic() - began)
        if isinstance(outcome, Reply):
            self._counters.tokens_used(
                name, outcome.usage.input_tokens, outcome.usage.output_tokens
            )
        return outcome

    async def _ask(self, prompt: Prompt) -> Outcome:
        asked = self._spawn(self._reply(prompt))
        try:
            async with self._clock.timeout(self._model_time):
                await asyncio.wait({asked})
        except TimeoutError:
            late = ModelTimedOut(f"The model gave no answer within {self._model_time:g} s.")
            return Failure(Problem.of(late))
        finally:
            asked.cancel()
        return _outcome(asked, prompt)

    async def _reply(self, prompt: Prompt) -> Reply:
        with _acting(prompt):
            return await self.model.reply(prompt)

    async def _hand_over(self, call: Call, prompt: Prompt) -> None:
        if call.outcome is None:
            return
        for attempt in range(HAND_OVERS):
            try:
                await self._complete(prompt.conversation, prompt.turn_id, call.outcome)
            except TryLater:
                await self._clock.sleep(HAND_OVER_PAUSE * 2**attempt)
            except AgentError as error:
                log.warning("turn %s was not taken: %s", prompt.turn_id, error.title)
                return
            else:
                return
        log.warning("turn %s waits for the recovery reminder", prompt.turn_id)

    def _remember(self, call: Call, prompt: Prompt) -> None:
        key = (prompt.conversation, prompt.turn_id)
        if self.find(*key) is not call:
            return
        self._finished[key] = call
        self._bytes += call.size
        while len(self._finished) > FINISHED or self._bytes > FINISHED_BYTES:
            self._forget(*next(iter(self._finished)))

    def _make_room(self, conversation: str) -> None:
        calls = self._calls.get(conversation, {})
        by_age = sorted(calls, key=lambda turn_id: calls[turn_id].outcome is None)
        for turn_id in by_age[: max(0, len(calls) + 1 - PER_CONVERSATION)]:
            self._forget(conversation, turn_id)

    def _forget(self, conversation: str, turn_id: str) -> None:
        finished = self._finished.pop((conversation, turn_id), None)
        self._bytes -= finished.size if finished else 0
        calls = self._calls.get(conversation)
        if calls is None:
            return
        calls.pop(turn_id, None)
        if not calls:
            del self._calls[conversation]


def _acting(prompt: Prompt) -> LogContext:
    return LogContext(wire.CHAT, prompt.conversation, (prompt,))


def _agent(prompt: Prompt) -> dict[str, tracing.Value]:
    """As OpenTelemetry's conventions for generative AI have it; nothing of what was said."""
    return {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "agent-actors",
        "gen_ai.conversation.id": prompt.conversation,
        "turn.id": prompt.turn_id,
    }


def _tell(outcome: Outcome) -> None:
    if isinstance(outcome, Failure):
        tracing.mark_failed(outcome.error.title)
    elif tracing.enabled():
        used = outcome.usage
        tracing.set_attributes(
            {
                "gen_ai.response.model": outcome.model,
                "gen_ai.usage.input_tokens": used.input_tokens,
                "gen_ai.usage.output_tokens": used.output_tokens,
            }
        )


def _end(outcome: Outcome) -> tuple[str, CallEnd]:
    """The model, where one is named, and how its call has ended."""
    if isinstance(outcome, Reply):
        return outcome.model, "done"
    ends: dict[int, CallEnd] = {422: "guardrail", 504: "timed_out"}
    return "", ends.get(outcome.error.status, "failed")


def _usable(reply: Reply, prompt: Prompt) -> Outcome:
    """The reply, if it can be saved: a turn whose answer cannot be must end all the same."""
    try:
        size = sum(len(each.encode()) for each in (reply.content, reply.items, reply.model))
    except UnicodeEncodeError:
        log.warning("the model's answer in turn %s is not UTF-8", prompt.turn_id)
        return Failure(Problem.of(ModelFailed("The model's answer has half of a character.")))
    if size > REPLY_BYTES:
        return Failure(Problem.of(ModelFailed(f"The model's answer has {size} bytes.")))
    return reply


def _outcome(asked: "asyncio.Task[Reply]", prompt: Prompt) -> Outcome:
    """The end of a finished call; a model's own exception is a failure like any other."""
    # A model's library may cancel its own work; without an end here the turn would run for ever.
    error = asyncio.CancelledError() if asked.cancelled() else asked.exception()
    if error is None:
        return _usable(asked.result(), prompt)
    if isinstance(error, ModelError):
        return Failure(Problem.of(error))
    log.error("the model raised %s in turn %s", type(error).__name__, prompt.turn_id)
    log.debug("its trace", exc_info=error)
    return Failure(Problem.of(ModelFailed("The model failed in a way it should not.")))
