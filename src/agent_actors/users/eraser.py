"""Forgets a user: conversations, memory, sessions, analytics, notifications and dead letters.

No text stays. Sequence numbers and marks stay, and the marks move past every turn there was: an
event that is still on its way is then a duplicate (rule 17, docs/protocol.md). Every step can be
repeated, so a deletion that was interrupted is completed by sending it again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from agent_actors.clock import Clock
from agent_actors.errors import AgentError, NotFound, Refused, Unavailable
from agent_actors.protocol import ids
from agent_actors.protocol.clients import ChatClient, ConsumerClient, SessionClient
from agent_actors.protocol.dead_letters import is_about
from agent_actors.protocol.messages import ForgetConversation, ForgetUser, HighWaterMark
from agent_actors.runtime import DeadLetters

AT_ONCE = 8
"""The number of conversations that are cleared at the same time."""
ROUNDS = 1_000
"""The rounds, of twenty segments each, in which a conversation has to be erased."""


@dataclass(frozen=True, slots=True)
class UserEraser:
    """Forgets users; it must be given all consumers of events."""

    chat: ChatClient
    consumers: Sequence[ConsumerClient]
    sessions: SessionClient
    letters: DeadLetters
    clock: Clock

    async def forget(self, user: str) -> None:
        """Forgets everything from before this call; idempotent.

        If one conversation cannot be cleared, the others are cleared all the same, and the error is
        raised at the end.

        Raises:
            TryLater: A part is unavailable; send the request again.
            AgentError: A conversation could not be cleared.
        """
        at = self.clock.now().timestamp()
        # This comes first: after it, no event from before opens a session on the new list.
        await self._move_marks(user, ForgetUser((), at))
        await self.sessions.close_all(user)
        failed: list[AgentError] = []
        while not failed and (page := await self.sessions.closed(user)).session_ids:
            conversations = [ids.session(each) for each in page.session_ids]
            failed = await self._clear(user, conversations, at)
            if not failed:
                await self.sessions.drop(user, page)
        failed += await self._clear(user, [user], at)
        async for letter in self.letters.find(lambda event: is_about(event, user)):
            await self.letters.forget(letter.id)
        if failed:
            raise failed[0]

    async def _clear(self, user: str, conversations: Sequence[str], at: float) -> list[AgentError]:
        """Clears conversations, moves every consumer past them, then erases them.

        Returns the errors of the conversations that could not be cleared.
        """
        results: list[HighWaterMark | AgentError | None] = []
        for start in range(0, len(conversations), AT_ONCE):
            batch = conversations[start : start + AT_ONCE]
            results += await asyncio.gather(*(self._end(user, each) for each in batch))
        cleared = [each for each in results if isinstance(each, HighWaterMark)]
        await self._move_marks(user, ForgetUser(tuple(cleared), at))
        for each in cleared:
            for _ in range(ROUNDS):
                if await self.chat.settle(each):
                    break
            else:
                raise Unavailable(
                    "The conversation is hidden but not erased yet; send the request again."
                )
        return [each for each in results if isinstance(each, AgentError)]

    async def _move_marks(self, user: str, request: ForgetUser) -> None:
        for consumer in self.consumers:
            await consumer.forget(user, request)

    async def _end(self, user: str, conversation: str) -> HighWaterMark | AgentError | None:
        """Clears a conversation: its last turn, or the error, or None if it is another user's."""
        close = ids.session_of(conversation) is not None
        try:
            return await self.chat.forget(conversation, ForgetConversation(user, close))
        except Refused as refused:
            # Another user has opened the session first. It stays that user's.
            return None if refused.status == NotFound.status else refused
        except AgentError as error:
            return error
