"""What a conversation does while nobody speaks: it counts itself for a while, and clears itself.

The count is a *timer*: it lives in the sidecar's memory, and ends with the activation. The clearing
is a *reminder*: it survives deactivation and restarts of the app and of the sidecar.
"""

import logging
from datetime import datetime, timedelta

from dapr.actor import ActorId
from dapr.actor.runtime.context import ActorRuntimeContext

from agent_actors.conversation.draft import Draft
from agent_actors.conversation.steps import ChatParts, Conversation
from agent_actors.errors import AgentError, TryLater
from agent_actors.protocol import wire
from agent_actors.state.documents import Head
from agent_actors.turns.actor import Host, turn

log = logging.getLogger(__name__)

EXPIRING = "expiring"
"""Noted while the reminder that clears an idle conversation is known to be registered."""
COUNT_PERIOD = 5.0
"""Seconds between two logs of the message count."""
COUNTS = 10
"""Logs of the message count for each activation."""
ONCE = timedelta(0)
"""The period of a timer that fires once."""


class Inactivity(Conversation):
    """The part of ChatAgent that looks at the clock."""

    def __init__(
        self, ctx: ActorRuntimeContext, actor_id: ActorId, host: Host, parts: ChatParts
    ) -> None:
        super().__init__(ctx, actor_id, host, parts)
        self._counting = False
        self._counts_left = 0
        self._used = 0.0

    # -- the timer ----------------------------------------------------------------------------

    async def _used_now(self) -> None:
        """A message has come: the count begins, once for each activation."""
        self._used = self.clock.monotonic()
        if self._limits.message_count_timer and not self._counting:
            self._counting = True
            self._counts_left = COUNTS
            await self._count_later()

    @turn
    async def log_message_count(self, _state: object = None) -> None:
        """A tick of the timer `log-message-count`: logs how many messages are in the history.

        Each tick is a timer of its own, which fires once: on Dapr 1.18.0 a repeating one that is
        unregistered inside its callback goes on, and one that outlives its actor wakes it for ever
        (docs/dapr-behaviour.md#timers). So it ends on every version: after its last tick, when
        nobody has spoken for the idle timeout, and, with the activation that began it, when the
        actor is put away.
        """
        if not self._counts_left:
            return
        head = await self._head()
        log.info("conversation %s has %d messages", self.conversation, 2 * (head.seq - head.start))
        self._counts_left -= 1
        idle = self.clock.monotonic() - self._used
        if idle + COUNT_PERIOD > self._limits.idle_timeout:
            self._counts_left = 0
        if self._counts_left:
            await self._count_later()

    async def _count_later(self) -> None:
        due = timedelta(seconds=COUNT_PERIOD)
        count = self.log_message_count
        try:
            await self.ask(lambda: self.register_timer(wire.COUNT, count, b"", due, ONCE))
        except AgentError as error:
            # No turn fails because it is not counted.
            log.warning("conversation %s is not counted: %s", self.conversation, error.title)
            self._counts_left = 0

    # -- the reminder -------------------------------------------------------------------------

    async def _commit(self, draft: Draft) -> None:
        """As every commit; what is said now is cleared when nobody has spoken for long enough."""
        if self._limits.history_ttl and not self.state.noted(EXPIRING):
            await self._expire_in(self._limits.history_ttl)
            self.state.note(EXPIRING)
        await super()._commit(draft)

    async def _expire_in(self, seconds: float) -> None:
        # It repeats until it has done its work: one that fires once may be lost (I14).
        due = timedelta(seconds=seconds)
        period = timedelta(seconds=self._limits.recovery_period)
        await self.ask(lambda: self.register_reminder(wire.EXPIRE, b"", due, period))

    async def _expire(self) -> None:
        """Clears a conversation nobody has spoken in; or says when to look again."""
        head = await self._head()
        ttl = self._limits.history_ttl
        if ttl and head.queue:
            await self._expire_in(ttl)
            return
        rest = ttl - self._silent_for(head) if ttl and head.start < head.seq else 0.0
        if rest > 0:
            await self._expire_in(rest)
            return
        if ttl and head.start < head.seq:
            await self._clear(head)
        await self._end_expiring()

    async def _end_expiring(self) -> None:
        self.state.unnote(EXPIRING)
        await self.ask(lambda: self.unregister_reminder(wire.EXPIRE))

    async def _forgotten(self) -> None:
        """Nothing is left that could expire; an orphan says so itself, but with the user's id."""
        if not self._limits.history_ttl:
            return
        try:
            await self._end_expiring()
        except TryLater as error:
            log.warning("the reminder of %s stays: %s", self.conversation, error.title)

    def _silent_for(self, head: Head) -> float:
        """Seconds since the last answer; the last pair of a history that shows is in the tail."""
        last = datetime.fromisoformat(head.tail[-1].occurred_at)
        return (self.clock.now() - last).total_seconds()
