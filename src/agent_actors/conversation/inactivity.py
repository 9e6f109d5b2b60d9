"""What a conversation does while nobody writes: it logs its size, and is cleared after some time.

The first is a *timer*: it lives in the sidecar's memory and ends with the activation. The second is
a *reminder*: it survives deactivation, and restarts of the service and of the sidecar.
"""

import logging
from datetime import datetime, timedelta

from agent_actors.conversation.base import EXPIRING, ConversationBase
from agent_actors.errors import AgentError, TryLater
from agent_actors.protocol import wire
from agent_actors.turns.actor import turn

log = logging.getLogger(__name__)

COUNT_PERIOD = 5.0
"""Seconds between two logs of the message count."""
COUNTS = 10
"""Logs of the message count in one activation."""
ONCE = timedelta(0)
"""The period of a timer that fires once."""


class Inactivity(ConversationBase):
    """The part of ChatAgent that waits for a conversation to be idle."""

    _counting = False
    _counts_left = 0
    _last_message = 0.0

    # -- the timer --------------------------------------------------------------------------------

    async def _note_message(self) -> None:
        """A message has come; the first one of an activation starts the timer."""
        self._last_message = self.clock.monotonic()
        if self._settings.message_count_timer and not self._counting:
            self._counting = True
            self._counts_left = COUNTS
            await self._start_timer()

    @turn
    async def log_message_count(self, _state: object = None) -> None:
        """The callback of the timer `log-message-count`: logs the number of visible entries.

        Every tick is a timer of its own that fires once. In Dapr 1.18.0 a repeating timer that is
        unregistered inside its own callback goes on, and one that outlives its actor activates it
        again and again (docs/dapr-behaviour.md#timers). This way it ends on every version: after
        the last tick, when nobody has written for the idle timeout, and with the activation that
        started it.
        """
        if not self._counts_left:
            return
        head = await self._head()
        log.info("conversation %s has %d entries", self.conversation, 2 * (head.seq - head.start))
        self._counts_left -= 1
        idle = self.clock.monotonic() - self._last_message
        if idle + COUNT_PERIOD > self._settings.idle_timeout:
            self._counts_left = 0
        if self._counts_left:
            await self._start_timer()

    async def _start_timer(self) -> None:
        due = timedelta(seconds=COUNT_PERIOD)
        callback = self.log_message_count
        try:
            await self.ask(lambda: self.register_timer(wire.COUNT, callback, b"", due, ONCE))
        except AgentError as error:
            # A turn does not fail for want of a log line.
            log.warning(
                "conversation %s: the message count stops: %s", self.conversation, error.title
            )
            self._counts_left = 0

    # -- the reminder -----------------------------------------------------------------------------

    async def _expire(self) -> None:
        """Clears the conversation if it was idle long enough; else sets the reminder again."""
        head = await self._head()
        ttl, rest = self._settings.history_ttl, 0.0
        if ttl and head.queue:
            rest = ttl
        elif ttl and head.start < head.seq:
            # The last pair is visible, so it is in the tail.
            last = datetime.fromisoformat(head.tail[-1].occurred_at)
            rest = ttl - (self.clock.now() - last).total_seconds()
            if rest <= 0:
                await self._clear(head)
        if rest > 0:
            await self._remind(wire.EXPIRE, rest)
        else:
            await self._stop_expiring()

    async def _stop_expiring(self) -> None:
        self.state.flags.discard(EXPIRING)
        await self._stop_reminder(wire.EXPIRE)

    async def _expiry_is_over(self) -> None:
        """Stops the reminder of a forgotten user, whose id would otherwise remain in it.

        If that fails, the reminder ends itself when it fires.
        """
        if not self._settings.history_ttl:
            return
        try:
            await self._stop_expiring()
        except TryLater as error:
            log.warning("the reminder of %s remains: %s", self.conversation, error.title)
