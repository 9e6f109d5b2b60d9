"""What every part of ChatAgent builds on: the head, its commits, and the reminders.

A part reads the head, decides, saves once, and believes the save only after it has succeeded.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from dapr.actor import ActorId
from dapr.actor.runtime.context import ActorRuntimeContext

from agent_actors.conversation.draft import Draft
from agent_actors.conversation.outbox import Outbox
from agent_actors.conversation.turn_counters import TurnCounters
from agent_actors.conversation.window import ModelWindow
from agent_actors.observability.counters import Counters
from agent_actors.protocol import wire
from agent_actors.protocol.clients import ConsumerClient, ForgetfulClient, ResponseClient
from agent_actors.protocol.messages import ConversationSummary, Problem, Turn
from agent_actors.settings import Settings
from agent_actors.state import slots
from agent_actors.state.documents.conversation import Head
from agent_actors.state.history import History
from agent_actors.turns.actor import Host, TurnActor
from agent_actors.turns.bell import TurnBell

QUEUE_BYTES = 1_048_576
"""Largest size of the messages in a queue."""
ARMED = "armed"
"""Flag: the recovery reminder is registered."""
EXPIRING = "expiring"
"""Flag: the reminder that clears an inactive conversation is registered."""

CANCELLED = Problem(
    409, "Cancelled", "The conversation was cleared before this turn was done.", "new-key"
)


@dataclass(frozen=True, slots=True)
class ChatDependencies:
    """The collaborators of a ChatAgent.

    Attributes:
        consumers: Each is asked for its mark, and events above the lowest are published again.
        forgetful: The consumers that forget a cleared conversation, if a setting says so.
        new_turn_id: Makes the id of a turn without an idempotency key.
        request_summary: Asks for a summary of pairs that have left the model's window, by the
            conversation and a `ConversationSummary` without text; returns at once.
        may_follow_up: Whether reentrancy is on, so that an actor may be called back.
    """

    settings: Settings
    response: ResponseClient
    consumers: Sequence[ConsumerClient]
    forgetful: Sequence[ForgetfulClient]
    outbox: Outbox
    bell: TurnBell
    new_turn_id: Callable[[], str]
    request_summary: Callable[[str, ConversationSummary], None]
    may_follow_up: bool = False
    counters: Counters = field(default_factory=Counters)


class ConversationBase(TurnActor):
    """The base of ChatAgent's parts."""

    def __init__(
        self,
        ctx: ActorRuntimeContext,
        actor_id: ActorId,
        host: Host,
        dependencies: ChatDependencies,
    ) -> None:
        super().__init__(ctx, actor_id, host)
        self.conversation = actor_id.id
        self._dependencies = dependencies
        self._settings = dependencies.settings
        self._bell = dependencies.bell
        self._outbox = dependencies.outbox
        self._history = History(self.state, self._settings.outcomes_kept)
        self._window = ModelWindow(self._history, self._settings)
        self._turn_counters = TurnCounters(self.conversation, dependencies.counters)

    def deactivate(self) -> None:
        """As for every actor; the model's window is dropped as well."""
        super().deactivate()
        self._window.void()

    @property
    def waiting(self) -> int:
        """Turns in the queue, as last read or saved."""
        head = self.state.cached(slots.HEAD)
        return len(head.queue) if head else 0

    async def _head(self) -> Head:
        return await self.state.load_or_new(slots.HEAD)

    def _draft(self, head: Head) -> Draft:
        return Draft(head, self._settings)

    def _queue_is_full(self, head: Head, turn: Turn) -> bool:
        waiting = sum(len(queued.turn.message.content.encode()) for queued in head.queue)
        size = len(turn.message.content.encode())
        if len(head.queue) >= self._settings.queue_length:
            return True
        return bool(head.queue) and waiting + size > QUEUE_BYTES

    async def _commit(self, draft: Draft) -> None:
        """Registers the reminders, then saves.

        In this order a crash in between leaves a reminder that finds nothing to do, and never an
        unfinished turn without a reminder (4.5, docs/protocol.md).
        """
        if self._settings.history_ttl and EXPIRING not in self.state.flags:
            await self._remind(wire.EXPIRE, self._settings.history_ttl)
            self.state.flags.add(EXPIRING)
        await self._arm()
        await self.state.save(draft.changes)

    async def _arm(self) -> None:
        """Registers the recovery reminder, unless this activation knows that it is registered."""
        if ARMED in self.state.flags:
            return
        await self._remind(wire.SETTLE, self._settings.recovery_period)
        self.state.flags.add(ARMED)

    async def _remind(self, name: str, seconds: float) -> None:
        """Registers a reminder, first due after some seconds.

        It repeats until it is unregistered: Dapr drops one that fires once even if its call has
        failed, and the work would never be done (I14).
        """
        due = timedelta(seconds=max(seconds, 0.0))
        period = timedelta(seconds=self._settings.recovery_period)
        await self.ask(lambda: self.register_reminder(name, b"", due, period))

    async def _stop_reminder(self, name: str) -> None:
        await self.ask(lambda: self.unregister_reminder(name))

    async def _clear(self, head: Head) -> None:
        """Hides all pairs and cancels the queue, in one save.

        The recovery tick erases the pairs once consumers have applied their events. If they were
        erased now, a consumer would miss one event and, its marks being without gaps, refuse all
        later ones (4.14).
        """
        draft = self._draft(head)
        draft.clear(CANCELLED)
        forgets = self._settings.clearing_forgets and bool(head.user)
        if forgets:
            draft.owe_clearing(head.seq)
        await self._commit(draft)
        self._turn_counters.cancelled(queued.turn for queued in head.queue)
        self._bell.ring(self.conversation)
        if forgets:
            await self._outbox.publish_cleared(self.conversation, draft.head, self.clock.now())
