"""Forgetting a user: every conversation, memory, numbers and dead letters; no text stays.

Sequence numbers and marks stay, and move past what was said: an event that is still on its way is
a duplicate when it comes (rule 17, docs/protocol.md). Each step can be repeated, so a deletion that
broke off is finished by sending it again.
"""

import asyncio
from collections.abc import Sequence

from agent_actors.clock import Clock
from agent_actors.errors import AgentError, NotFound, Refused, Unavailable
from agent_actors.protocol import ids
from agent_actors.protocol.clients import ChatClient, ConsumerClient, SessionClient
from agent_actors.protocol.dead_letters import told_by
from agent_actors.protocol.messages import ForgetConversation, ForgetUser, HighWaterMark
from agent_actors.runtime import DeadLetters

AT_ONCE = 8
"""Conversations that are cleared at the same time."""
ROUNDS = 1_000
"""Rounds of erasing, of twenty segments each, that one deletion waits for."""


class UserEraser:
    """Forgets users.

    Args:
        chat: Clears conversations.
        consumers: Everything that events are for.
        sessions: Lists the sessions of a user.
        letters: Where dead letters are kept.
        clock: The time.
    """

    def __init__(
        self,
        chat: ChatClient,
        consumers: Sequence[ConsumerClient],
        sessions: SessionClient,
        letters: DeadLetters,
        clock: Clock,
    ) -> None:
        self._chat = chat
        self._consumers = consumers
        self._sessions = sessions
        self._letters = letters
        self._clock = clock

    async def forget(self, user: str) -> None:
        """Forgets everything that was said before this call; idempotent.

        What cannot be forgotten does not keep the rest: its error is raised at the end.

        Raises:
            TryLater: A part is away; send it again.
            AgentError: A conversation could not be cleared.
        """
        at = self._clock.now().timestamp()
        # First: what was told before, and comes from now on, begins no session on a new list.
        await self._pass(user, ForgetUser((), at))
        await self._sessions.close_all(user)
        failed: list[AgentError] = []
        while not failed and (page := await self._sessions.closed(user)).session_ids:
            conversations = [ids.session(each) for each in page.session_ids]
            failed = await self._clear(user, conversations, at)
            if not failed:
                await self._sessions.drop(user, page)
        failed += await self._clear(user, [user], at)
        async for letter in self._letters.find(lambda event: told_by(event, user)):
            await self._letters.forget(letter.id)
        if failed:
            raise failed[0]

    async def _clear(self, user: str, conversations: Sequence[str], at: float) -> list[AgentError]:
        """Clears conversations, then moves every consumer past them, then erases; what failed."""
        ended: list[HighWaterMark | AgentError | None] = []
        for start in range(0, len(conversations), AT_ONCE):
            some = conversations[start : start + AT_ONCE]
            ended += await asyncio.gather(*(self._end(user, each) for each in some))
        passed = [each for each in ended if isinstance(each, HighWaterMark)]
        await self._pass(user, ForgetUser(tuple(passed), at))
        for each in passed:
            await self._erase(each)
        return [each for each in ended if isinstance(each, AgentError)]

    async def _pass(self, user: str, request: ForgetUser) -> None:
        for consumer in self._consumers:
            await consumer.forget(user, request)

    async def _end(self, user: str, conversation: str) -> HighWaterMark | AgentError | None:
        """The last turn of a conversation of this user, which is cleared; or why it is not."""
        close = ids.session_of(conversation) is not None
        try:
            return await self._chat.forget(conversation, ForgetConversation(user, close))
        except Refused as refused:
            # Another user was quicker to open it: his it is, and his it stays.
            return None if refused.status == NotFound.status else refused
        except AgentError as error:
            return error

    async def _erase(self, upto: HighWaterMark) -> None:
        for _ in range(ROUNDS):
            if await self._chat.settle(upto):
                return
        raise Unavailable("What was said is hidden and not erased yet; send the request again.")
