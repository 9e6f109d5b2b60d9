"""Makes summaries of users and conversations with the model, outside every actor's turn (I10).

They are made from saved documents, one at a time per user and per conversation. The actor saves a
summary in a short turn and ignores it if it comes too late. No failure does harm: whether a summary
is due is read from the documents, so what a stopping process leaves is made after the next event.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from agent_actors.background import Background
from agent_actors.clock import Clock
from agent_actors.errors import AgentError, ModelFailed, TryLater
from agent_actors.model import Model, SummaryPrompt
from agent_actors.observability.counters import Counters
from agent_actors.protocol.clients import ChatClient, MemoryClient
from agent_actors.protocol.messages import ConversationSummary, Message, UserSummary
from agent_actors.retry import RetryPolicy, retry
from agent_actors.settings import Settings
from agent_actors.state.reader import StateReader

log = logging.getLogger(__name__)

AT_ONCE = 4
"""The summaries that are made at the same time; few, because turns come first."""
WAITING = 10_000
"""The summaries that may be under way; further ones are made after a later event."""
TRIES = 4
"""The attempts at a user's summary; after them, the next event asks for it again."""
ATTEMPTS = RetryPolicy(pause=1.0, attempts=4)
"""For a part that is unavailable. A failed model call is not retried this way: it may have cost."""
LONGEST_REST = 3_600.0
"""The longest pause, in seconds, after a failed summary; the pause doubles with each failure."""
LONGEST = 2_000
"""The characters of a summary."""
PAIRS = 32
"""The turns that one summary of a conversation covers."""
CHARACTERS = 1_000
"""The characters of each message that such a summary is made from."""

R = TypeVar("R")
Subject = tuple[str, str]
"""`user` or `conversation`, and its id."""
Save = Callable[[], Awaitable[None]]
"""Has the actor save a summary."""


class Summaries:
    """Makes the summaries of users and conversations."""

    def __init__(  # noqa: PLR0913 - Its collaborators.
        self,
        model: Model,
        reader: StateReader,
        memory: MemoryClient,
        chat: ChatClient,
        clock: Clock,
        settings: Settings,
        counters: Counters | None = None,
    ) -> None:
        self._counters = counters or Counters()
        self._model = model
        self._reader = reader
        self._memory = memory
        self._chat = chat
        self._clock = clock
        self._events = settings.summary_events
        self._time = settings.summary_time
        self._users: dict[str, asyncio.Event] = {}
        self._conversations: set[str] = set()
        self._resting: dict[Subject, tuple[float, int]] = {}
        """After a failure: until when no summary is made, and the number of failures in a row."""
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._tasks = Background("a summary was not made")

    def request_user_summary(self, user: str, events: int) -> None:
        """Makes a summary soon if `events`, those that are not in the last one, are enough."""
        due = self._users.get(user)
        if due is None and events and len(self._tasks) < WAITING:
            due = self._users[user] = asyncio.Event()
            self._tasks.begin(self._serve_user(user, due))
        if due is not None and events >= self._events:
            due.set()

    def request_conversation_summary(self, conversation: str, request: ConversationSummary) -> None:
        """Makes a summary of the turns up to `request.upto`, which the model no longer sees."""
        resting = self._rest_of(("conversation", conversation)) > 0
        wanted = (
            self._model.uses_history and not resting and conversation not in self._conversations
        )
        if wanted and len(self._tasks) < WAITING:
            self._conversations.add(conversation)
            self._tasks.begin(self._serve_conversation(conversation, request))

    async def stop(self) -> None:
        """Stops making summaries. Idempotent."""
        await self._tasks.stop()

    async def _serve_user(self, user: str, due: asyncio.Event) -> None:
        """Waits until enough events have come, or long enough, then makes the summary."""
        subject = ("user", user)

        async def make() -> Save | None:
            memory = await self._reader.memory(user)
            if memory.events <= memory.summarised:
                return None
            person = await self._reader.person(user)
            text = await self._text(SummaryPrompt(person.name, person.user_summary, memory.fresh))
            summary = UserSummary(memory.events, text)
            return lambda: self._memory.keep_summary(user, summary)

        try:
            with suppress(TimeoutError):
                async with self._clock.timeout(self._time):
                    await due.wait()
            for _ in range(TRIES):
                await self._clock.sleep(self._rest_of(subject))
                if await self._summarise(subject, make):
                    return
        finally:
            del self._users[user]

    async def _serve_conversation(self, conversation: str, request: ConversationSummary) -> None:
        async def make() -> Save | None:
            head = await self._reader.head(conversation)
            if head.earlier.upto != request.after:
                return None
            page = await self._reader.history(conversation, PAIRS, before=request.upto + 1)
            messages = tuple(
                Message(entry.role, entry.content[:CHARACTERS])
                for pair in page.pairs
                if pair.seq > request.after
                for entry in (pair.exchange.input, pair.exchange.output)
            )
            text = await self._text(SummaryPrompt("", head.earlier.text, messages))
            summary = ConversationSummary(request.after, request.upto, text)
            return lambda: self._chat.sum_up(conversation, summary)

        try:
            await self._summarise(("conversation", conversation), make)
        finally:
            self._conversations.discard(conversation)

    async def _summarise(
        self, subject: Subject, make: Callable[[], Awaitable[Save | None]]
    ) -> bool:
        """Makes a summary and has it saved; after a failure, the subject rests for a while."""
        try:
            async with self._at_once:
                save = await self._retry(make)
            if save is not None:
                await self._retry(save)
                self._counters.summary_ended(subject[0], "made")
        except AgentError as error:
            log.warning("the summary of %s %s was not made: %s", *subject, error.title)
            self._counters.summary_ended(subject[0], "failed")
            _, failures = self._resting.pop(subject, (0.0, 0))
            seconds = min(self._time * 2.0**failures, LONGEST_REST)
            self._resting[subject] = (self._clock.monotonic() + seconds, min(failures + 1, 32))
            if len(self._resting) > WAITING:
                del self._resting[next(iter(self._resting))]
            return False
        self._resting.pop(subject, None)
        return True

    async def _retry(self, call: Callable[[], Awaitable[R]]) -> R:
        return await retry(call, ATTEMPTS, on=TryLater, clock=self._clock)

    def _rest_of(self, subject: Subject) -> float:
        """The seconds until a summary may be made again."""
        until, _ = self._resting.get(subject, (0.0, 0))
        return max(until - self._clock.monotonic(), 0.0)

    async def _text(self, prompt: SummaryPrompt) -> str:
        text = (await self._model.summarise(prompt))[:LONGEST]
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ModelFailed("The model's summary contains half of a surrogate pair.") from None
        return text
