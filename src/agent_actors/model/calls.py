"""The model calls of this process, and how the results of parked turns reach ChatAgent.

Calls belong to the process, not to an activation: when ResponseAgent is deactivated and activated
again in the same process, no call is repeated (4.22, docs/protocol.md).
"""

import asyncio
import functools
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
from agent_actors.retry import RetryPolicy, retry

log = logging.getLogger(__name__)

PER_CONVERSATION = 8
"""Calls kept for a conversation; finished ones are dropped first."""
FINISHED = 2_048
"""Finished calls kept in all, so that idle conversations cost no memory."""
FINISHED_BYTES = 16 * 1024 * 1024
"""Bytes of memory that the kept replies may use."""
REPLY_BYTES = 1024 * 1024
"""Longest reply in bytes; some stores and brokers take no more."""
HAND_OVER = RetryPolicy(pause=0.1, attempts=6)
"""How the result of a parked turn is delivered; after that the recovery reminder fetches it."""

ENDS: dict[int, CallEnd] = {422: "guardrail", 504: "timed_out"}
"""How a failed call ended, by the status of its error; else `failed`."""

R = TypeVar("R")
Key = tuple[str, str]
"""A conversation and a turn id."""
Complete = Callable[[str, str, Outcome], Awaitable[None]]
"""Delivers the result of a parked turn: conversation, turn id, outcome."""


class Call:
    """A call of the model for one turn."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.awaited = False
        """Whether ChatAgent has parked the turn and waits for `CompleteTurn`."""
        self._done = asyncio.Event()

    @property
    def failed(self) -> bool:
        """Whether the call has ended without a reply."""
        return isinstance(self.outcome, Failure)

    @property
    def size(self) -> int:
        """Bytes of memory that the reply uses."""
        if not isinstance(self.outcome, Reply):
            return 0
        return getsizeof(self.outcome.content) + getsizeof(self.outcome.items)

    def finish(self, outcome: Outcome) -> None:
        """Sets the outcome and wakes whoever waits."""
        self.outcome = outcome
        self._done.set()

    async def wait(self) -> None:
        """Waits until there is an outcome."""
        await self._done.wait()


class ModelCalls:
    """Calls the model for at most `model_time` seconds, and keeps the outcomes.

    Those of parked turns are delivered by `complete`, outside any turn of an actor.
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
        """The call for a turn, if this process has one."""
        return self._calls.get(conversation, {}).get(turn_id)

    def start(self, prompt: Prompt) -> Call:
        """Calls the model for a turn, in a task of the process."""
        call = Call()
        conversation = prompt.conversation
        self._forget(conversation, prompt.turn_id)
        calls = self._calls.get(conversation, {})
        by_age = sorted(calls, key=lambda turn_id: calls[turn_id].outcome is None)
        for turn_id in by_age[: max(0, len(calls) + 1 - PER_CONVERSATION)]:
            self._forget(conversation, turn_id)
        self._calls.setdefault(conversation, {})[prompt.turn_id] = call
        self._spawn(self._run(call, prompt))
        return call

    async def drain(self, seconds: float) -> None:
        """Waits until no call runs, for at most that many seconds."""
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
                log.info(
                    "cut off %d model call(s); the next process starts their turns again",
                    unfinished,
                )

    async def stop(self) -> None:
        """Cancels all calls; the next process starts their turns again."""
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
        key = (prompt.conversation, prompt.turn_id)
        with _log_context(prompt):
            # The attributes of OpenTelemetry's conventions for generative AI.
            attributes: dict[str, tracing.Value] = {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": "agent-actors",
                "gen_ai.conversation.id": prompt.conversation,
                "turn.id": prompt.turn_id,
            }
            with tracing.span("invoke_agent agent-actors", attributes=attributes):
                outcome = await self._counted(prompt)
                if isinstance(outcome, Failure):
                    tracing.mark_failed(outcome.error.title)
                elif tracing.enabled():
                    usage = outcome.usage
                    tracing.set_attributes(
                        {
                            "gen_ai.response.model": outcome.model,
                            "gen_ai.usage.input_tokens": usage.input_tokens,
                            "gen_ai.usage.output_tokens": usage.output_tokens,
                        }
                    )
            call.finish(outcome)
            if self.find(*key) is call:
                self._finished[key] = call
                self._bytes += call.size
                while len(self._finished) > FINISHED or self._bytes > FINISHED_BYTES:
                    self._forget(*next(iter(self._finished)))
            if call.awaited:
                await self._hand_over(outcome, prompt)

    async def _counted(self, prompt: Prompt) -> Outcome:
        began = self._counters.monotonic()
        name = ""
        end: CallEnd = "cut"
        self.running += 1
        try:
            outcome = await self._in_time(prompt)
            if isinstance(outcome, Reply):
                name, end = outcome.model, "done"
            else:
                end = ENDS.get(outcome.error.status, "failed")
        finally:
            self.running -= 1
            name = self._counters.model_called(name, end, self._counters.monotonic() - began)
        if isinstance(outcome, Reply):
            usage = outcome.usage
            self._counters.tokens_used(name, usage.input_tokens, usage.output_tokens)
        return outcome

    async def _in_time(self, prompt: Prompt) -> Outcome:
        task = self._spawn(self._reply(prompt))
        try:
            async with self._clock.timeout(self._model_time):
                await asyncio.wait({task})
        except TimeoutError:
            late = ModelTimedOut(f"The model gave no answer within {self._model_time:g} s.")
            return Failure(Problem.of(late))
        finally:
            task.cancel()
        # A model's library may cancel its own work; the turn must end all the same.
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is None:
            return _checked(task.result(), prompt)
        if isinstance(error, ModelError):
            return Failure(Problem.of(error))
        log.error("the model raised %s in turn %s", type(error).__name__, prompt.turn_id)
        log.debug("its trace", exc_info=error)
        return Failure(Problem.of(ModelFailed("The model failed unexpectedly.")))

    async def _reply(self, prompt: Prompt) -> Reply:
        with _log_context(prompt):
            return await self.model.reply(prompt)

    async def _hand_over(self, outcome: Outcome, prompt: Prompt) -> None:
        call = functools.partial(self._complete, prompt.conversation, prompt.turn_id, outcome)
        try:
            await retry(call, HAND_OVER, on=TryLater, clock=self._clock)
        except TryLater:
            log.warning("turn %s waits for the recovery reminder", prompt.turn_id)
        except AgentError as error:
            log.warning("turn %s was not completed: %s", prompt.turn_id, error.title)

    def _forget(self, conversation: str, turn_id: str) -> None:
        finished = self._finished.pop((conversation, turn_id), None)
        self._bytes -= finished.size if finished else 0
        calls = self._calls.get(conversation)
        if calls is None:
            return
        calls.pop(turn_id, None)
        if not calls:
            del self._calls[conversation]


def _log_context(prompt: Prompt) -> LogContext:
    return LogContext(wire.CHAT, prompt.conversation, (prompt,))


def _checked(reply: object, prompt: Prompt) -> Outcome:
    """The reply, or a failure if it cannot be saved, since its turn must end all the same."""
    if not isinstance(reply, Reply) or not isinstance(reply.content, str):
        found = type(reply.content if isinstance(reply, Reply) else reply).__name__
        log.error("the model returned %s in turn %s; return Reply(text)", found, prompt.turn_id)
        return Failure(Problem.of(ModelFailed("The model failed unexpectedly.")))
    try:
        size = sum(len(each.encode()) for each in (reply.content, reply.items, reply.model))
    except UnicodeEncodeError:
        log.warning("the model's answer in turn %s is not valid Unicode", prompt.turn_id)
        return Failure(Problem.of(ModelFailed("The model's answer is not valid Unicode.")))
    if size > REPLY_BYTES:
        return Failure(Problem.of(ModelFailed(f"The model's answer is too long: {size} bytes.")))
    return reply
