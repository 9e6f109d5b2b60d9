"""What a conversation still owes after its turns: events that were missed, and erasing.

The recovery reminder fires until nothing is owed. Each time, ChatAgent goes on with its queue and
then does what is here. The reminder is the only cause of an event being sent again: what a
consumer's mark does not cover is published from the history, whatever has happened to the first
copy (4.21, docs/protocol.md).
"""

import functools
import logging

from agent_actors.conversation.base import ARMED, ConversationBase
from agent_actors.protocol import wire
from agent_actors.state.documents.conversation import Head

log = logging.getLogger(__name__)

PUBLISH = 20
"""Largest number of events that one tick publishes, not counting the newest."""


class Recovery(ConversationBase):
    """The part of ChatAgent that pays what is owed."""

    async def _recover(self, head: Head) -> int:
        """Publishes missed events and erases cleared pairs; stops the reminder if that was all.

        Returns the number up to which pairs are erased.
        """
        mark = await self._mark(head)
        await self._publish_after(head, mark)
        if head.clearing:
            # The event of the clearing may not have reached everybody.
            cleared = (head.user, self.conversation, head.clearing)
            for each in self._dependencies.forgetful:
                await self.ask(functools.partial(each.forget_conversation, *cleared))
            draft = self._draft(head)
            draft.owe_clearing(0)
            await self.state.save(draft.changes)
            head = draft.head
        upto = min(head.start, mark)
        if head.low <= upto:
            draft = self._draft(head)
            await draft.erase(upto, self._history.segment)
            await self.state.save(draft.changes)
            head = draft.head
        erased = head.low > head.start
        if erased and not head.queue and mark >= head.seq:
            self.state.flags.discard(ARMED)
            await self._stop_reminder(wire.SETTLE)
        return head.low - 1

    async def _mark(self, head: Head) -> int:
        """The lowest mark of all consumers; they are those of the owner (4.26)."""
        if not head.seq:
            return 0
        marks = [
            await self.ask(functools.partial(each.mark, head.user, self.conversation))
            for each in self._dependencies.consumers
        ]
        return max(min(marks), head.low - 1)

    async def _publish_after(self, head: Head, mark: int) -> None:
        missed = range(mark + 1, head.seq + 1)
        # The newest as well: a consumer that gets it reads from the history what lies between.
        for seq in (*missed[:PUBLISH], *missed[PUBLISH:][-1:]):
            pair = await self._history.pair(head, seq)
            if pair is None:
                log.error("conversation %s: turn %d has no stored pair", self.conversation, seq)
                return
            await self._outbox.publish(self.conversation, head, pair)
