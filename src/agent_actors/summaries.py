"""Summaries, made by the model outside every actor's turn (I10); whatever fails is harmless.

They are made from what is saved, one at a time per user and per conversation, and handed to the
actor in a short turn, which ignores one that came too late. What a stopping process leaves is made
after the next event: that a summary is due is read from the saved documents, not remembered here.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import Context

from agent_actors.clients import ChatClient, MemoryClient
from agent_actors.clock import Clock
from agent_actors.errors import AgentError
from agent_actors.messages import KeepSummary, Message, SumUp
from agent_actors.model import Digest, Model
from agent_actors.saved import Saved
from agent_actors.settings import Settings

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Summaries that are made at the same time: turns come first."""
WAITING = 10_000
"""Users and conversations that wait for one; what comes beyond is made after a later event."""
TRIES = 4
"""Times that one is tried; then the next event asks for it again."""
PAUSE = 1.0
"""Seconds before it is tried again; doubles each time."""
LONGEST = 2_000
"""Characters of a summary."""
PAIRS = 32
"""Pairs that are summed up at once."""
CHARACTERS = 1_000
"""Characters of each entry that a conversation's summary is made from."""


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
        saved: Saved,
        memory: MemoryClient,
        chat: ChatClient,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._model = model
        self._saved = saved
        self._memory = memory
        self._chat = chat
        self._clock = clock
        self._events = settings.summary_events
        self._time = settings.summary_time
        self._users: dict[str, asyncio.Event] = {}
        self._conversations: set[str] = set()
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    def heard(self, user: str, fresh: int) -> None:
        """Memory has applied an event; `fresh` of them are not in the user's summary."""
        due = self._users.get(user)
        if due is None and fresh and len(self._tasks) < WAITING:
            due = self._users[user] = asyncio.Event()
            self._spawn(self._user(user, due))
        if due is not None and fresh >= self._events:
            due.set()

    def fell_out(self, conversation: str, request: SumUp) -> None:
        """Pairs up to `request.upto` are not seen by the model any more."""
        wanted = self._model.converses and conversation not in self._conversations
        if wanted and len(self._tasks) < WAITING:
            self._conversations.add(conversation)
            self._spawn(self._conversation(conversation, request))

    async def stop(self) -> None:
        """Ends what is being made. Idempotent."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> None:
        # An empty context, as for a model's call: a caller's reentrancy id must not be inherited.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # Not its text, which asyncio would log: a model's own may hold what people said (I13).
            log.error("a summary was not made: %s", type(error).__name__)
            log.debug("its trace", exc_info=error)

    async def _user(self, user: str, due: asyncio.Event) -> None:
        try:
            async with self._clock.timeout(self._time):
                await due.wait()
        except TimeoutError:
            pass
        try:
            await self._tried(lambda: self._sum_up_user(user), user)
        finally:
            del self._users[user]

    async def _conversation(self, conversation: str, request: SumUp) -> None:
        try:
            await self._tried(
                lambda: self._sum_up_conversation(conversation, request), conversation
            )
        finally:
            self._conversations.discard(conversation)

    async def _tried(self, make: Callable[[], Awaitable[None]], what: str) -> None:
        for attempt in range(TRIES):
            if attempt:
                await self._clock.sleep(PAUSE * 2 ** (attempt - 1))
            try:
                async with self._at_once:
                    await make()
            except AgentError as error:
                log.warning("the summary of %s was not made: %s", what, error.title)
            else:
                return

    async def _sum_up_user(self, user: str) -> None:
        memory = await self._saved.memory(user)
        if memory.events <= memory.summarised:
            return
        person = await self._saved.person(user)
        text = await self._model.summarise(Digest(person.name, person.user_summary, memory.fresh))
        await self._memory.keep_summary(user, KeepSummary(memory.events, text[:LONGEST]))

    async def _sum_up_conversation(self, conversation: str, request: SumUp) -> None:
        head = await self._saved.head(conversation)
        if head.earlier.upto != request.after:
            return
        page = await self._saved.history(conversation, PAIRS, before=request.upto + 1)
        said = tuple(
            Message(entry.role, entry.content[:CHARACTERS])
            for pair in page.pairs
            if pair.seq > request.after
            for entry in (pair.exchange.input, pair.exchange.output)
        )
        text = await self._model.summarise(Digest("", head.earlier.text, said))
        kept = SumUp(request.after, request.upto, text[:LONGEST])
        await self._chat.sum_up(conversation, kept)
