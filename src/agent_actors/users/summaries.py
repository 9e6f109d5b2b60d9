"""Summaries, made by the model outside every actor's turn (I10); whatever fails is harmless.

They are made from what is saved, one at a time per user and per conversation, and handed to the
actor in a short turn, which ignores one that came too late. What a stopping process leaves is made
after the next event: that a summary is due is read from the saved documents, not remembered here.
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
from agent_actors.settings import Settings
from agent_actors.state.reader import StateReader

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Summaries that are made at the same time: turns come first."""
WAITING = 10_000
"""Users and conversations that wait for one; what comes beyond is made after a later event."""
TRIES = 4
"""Times that one is tried, or a part asked; then the next event asks for the summary again."""
PAUSE = 1.0
"""Seconds before it is asked again; doubles each time."""
LONGEST_REST = 3_600.0
"""Seconds that a model is left alone with a summary it failed at; doubles up to this."""
LONGEST = 2_000
"""Characters of a summary."""
PAIRS = 32
"""Pairs that are summed up at once."""
CHARACTERS = 1_000
"""Characters of each entry that a conversation's summary is made from."""

R = TypeVar("R")
What = tuple[str, str]
"""A user or a conversation, and its id."""
Keep = Callable[[], Awaitable[None]]
"""Hands a summary to its actor."""


class Summaries:
    """Makes the summaries of users and conversations.

    Args:
        model: Makes them.
        saved: What was said.
        memory: Keeps those of users.
        chat: Keeps those of conversations.
        clock: The time.
        settings: When a summary is due.
    """

    def __init__(
        self,
        model: Model,
        reader: StateReader,
        memory: MemoryClient,
        chat: ChatClient,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self.counters = Counters()
        """Counts them; the composition gives the process's."""
        self._model = model
        self._reader = reader
        self._memory = memory
        self._chat = chat
        self._clock = clock
        self._events = settings.summary_events
        self._time = settings.summary_time
        self._users: dict[str, asyncio.Event] = {}
        self._conversations: set[str] = set()
        self._resting: dict[What, tuple[float, int]] = {}
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._tasks = Background("a summary was not made")

    def heard(self, user: str, fresh: int) -> None:
        """Memory has applied an event; `fresh` of them are not in the user's summary."""
        due = self._users.get(user)
        if due is None and fresh and len(self._tasks) < WAITING:
            due = self._users[user] = asyncio.Event()
            self._tasks.begin(self._user(user, due))
        if due is not None and fresh >= self._events:
            due.set()

    def fell_out(self, conversation: str, request: ConversationSummary) -> None:
        """Pairs up to `request.upto` are not seen by the model any more."""
        resting = self._rest_of(("conversation", conversation)) > 0
        wanted = (
            self._model.uses_history and not resting and conversation not in self._conversations
        )
        if wanted and len(self._tasks) < WAITING:
            self._conversations.add(conversation)
            self._tasks.begin(self._conversation(conversation, request))

    async def stop(self) -> None:
        """Ends what is being made. Idempotent."""
        await self._tasks.stop()

    async def _user(self, user: str, due: asyncio.Event) -> None:
        what = ("user", user)
        try:
            with suppress(TimeoutError):
                async with self._clock.timeout(self._time):
                    await due.wait()
            for _ in range(TRIES):
                await self._clock.sleep(self._rest_of(what))
                if await self._sum_up(what, lambda: self._of_user(user)):
                    return
        finally:
            del self._users[user]

    async def _conversation(self, conversation: str, request: ConversationSummary) -> None:
        what = ("conversation", conversation)
        try:
            await self._sum_up(what, lambda: self._of_conversation(conversation, request))
        finally:
            self._conversations.discard(conversation)

    async def _sum_up(self, what: What, make: Callable[[], Awaitable[Keep | None]]) -> bool:
        """Makes a summary and keeps it. What the model failed at is not asked for again soon."""
        try:
            async with self._at_once:
                keep = await self._tried(make)
            if keep is not None:
                await self._tried(keep)
                self.counters.summary_ended(what[0], "made")
        except AgentError as error:
            log.warning("the summary of %s %s was not made: %s", *what, error.title)
            self.counters.summary_ended(what[0], "failed")
            self._rest(what)
            return False
        self._resting.pop(what, None)
        return True

    async def _tried(self, call: Callable[[], Awaitable[R]]) -> R:
        """Calls until no part is away: a model's failure is none of these, it may have cost."""
        for attempt in range(TRIES - 1):
            try:
                return await call()
            except TryLater:
                await self._clock.sleep(PAUSE * 2**attempt)
        return await call()

    def _rest(self, what: What) -> None:
        _, failures = self._resting.pop(what, (0.0, 0))
        seconds = min(self._time * 2.0**failures, LONGEST_REST)
        self._resting[what] = (self._clock.monotonic() + seconds, min(failures + 1, 32))
        if len(self._resting) > WAITING:
            del self._resting[next(iter(self._resting))]

    def _rest_of(self, what: What) -> float:
        """Seconds until the model may be asked for it again."""
        until, _ = self._resting.get(what, (0.0, 0))
        return max(until - self._clock.monotonic(), 0.0)

    async def _of_user(self, user: str) -> Keep | None:
        memory = await self._reader.memory(user)
        if memory.events <= memory.summarised:
            return None
        person = await self._reader.person(user)
        text = await self._text(SummaryPrompt(person.name, person.user_summary, memory.fresh))
        kept = UserSummary(memory.events, text)
        return lambda: self._memory.keep_summary(user, kept)

    async def _of_conversation(
        self, conversation: str, request: ConversationSummary
    ) -> Keep | None:
        head = await self._reader.head(conversation)
        if head.earlier.upto != request.after:
            return None
        page = await self._reader.history(conversation, PAIRS, before=request.upto + 1)
        said = tuple(
            Message(entry.role, entry.content[:CHARACTERS])
            for pair in page.pairs
            if pair.seq > request.after
            for entry in (pair.exchange.input, pair.exchange.output)
        )
        text = await self._text(SummaryPrompt("", head.earlier.text, said))
        kept = ConversationSummary(request.after, request.upto, text)
        return lambda: self._chat.sum_up(conversation, kept)

    async def _text(self, digest: SummaryPrompt) -> str:
        text = (await self._model.summarise(digest))[:LONGEST]
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ModelFailed("The model's summary has half of a character.") from None
        return text
