"""MemoryAgentActor: the last messages of a user, and who the user is."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from dapr.actor import ActorId
from dapr.actor.runtime.context import ActorRuntimeContext

from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.ids import user_of
from agent_actors.protocol.interfaces import MemoryAgentInterface
from agent_actors.protocol.messages import (
    EventResult,
    ForgetUser,
    HighWaterMark,
    MemorySnapshot,
    Message,
    Person,
    UserSummary,
)
from agent_actors.state import slots
from agent_actors.state.documents.users import Memory, Profile
from agent_actors.turns.actor import Host, turn
from agent_actors.users.consumer import Consumer, origin_of, with_id, without_turns

ENTRIES = 3
"""The number of entries that a memory has."""
FRESH = 32
"""The number of entries that are kept for the next summary."""
FRESH_CHARACTERS = 400
"""The characters that are kept of such an entry."""

RequestSummary = Callable[[str, int], None]
"""Starts a summary of a user if one is due, and returns at once.

It is given the user, and the number of events that are not in the last summary.
"""


class MemoryAgentActor(Consumer, MemoryAgentInterface):
    """The memory of one user, over all conversations.

    The actor asks for a summary of the user itself. It is active in one process only, so a summary
    is made once, however many replicas there are.
    """

    def __init__(
        self,
        ctx: ActorRuntimeContext,
        actor_id: ActorId,
        host: Host,
        request_summary: RequestSummary,
    ) -> None:
        super().__init__(ctx, actor_id, host)
        self._request_summary = request_summary

    @turn
    async def update_memory(self, event: TurnEvent) -> EventResult:
        """Applies an event. If an earlier one is missing, the result is `gap`; nothing is saved."""
        memory = await self.state.load_or_new(slots.MEMORY)
        status = await self.classify(event, memory.seen)
        if status == "applied":
            memory = with_exchange(memory, event)
            await self.apply([event], {slots.MEMORY: memory})
        if status != "gap":
            self._request_summary(user_of(self.id.id), memory.events - memory.summarised)
        return EventResult(status)

    @turn
    async def get_memory(self) -> tuple[Message, ...]:
        """The entries, newest last."""
        return (await self.state.load_or_new(slots.MEMORY)).entries

    @turn
    async def recall(self) -> MemorySnapshot:
        """The entries, and who the user is."""
        await self.state.prepare(slots.MEMORY, slots.PROFILE)
        memory = await self.state.load_or_new(slots.MEMORY)
        profile = await self.state.load_or_new(slots.PROFILE)
        return MemorySnapshot(memory.entries, profile.person(user_of(self.id.id)))

    @turn
    async def initialize(self, person: Person) -> None:
        """Sets who the user is. A summary of earlier messages that is under way will be ignored."""
        memory = await self.state.load_or_new(slots.MEMORY)
        memory = replace(memory, summarised=memory.events, fresh=(), fresh_origins=())
        profile = Profile(
            name=person.name,
            preferred_style=person.preferred_style,
            user_summary=person.user_summary,
        )
        await self.state.save({slots.MEMORY: memory, slots.PROFILE: profile})

    @turn
    async def keep_summary(self, request: UserSummary) -> None:
        """Saves a summary, unless there is a newer one or the user was forgotten meanwhile."""
        memory = await self.state.load_or_new(slots.MEMORY)
        if not memory.summarised < request.events <= memory.events:
            return
        left = 2 * (memory.events - request.events)
        memory = replace(
            memory,
            summarised=request.events,
            fresh=memory.fresh[max(0, len(memory.fresh) - left) :],
            fresh_origins=memory.fresh_origins[max(0, len(memory.fresh_origins) - left) :],
        )
        text = request.user_summary
        profile = await self.state.load_or_new(slots.PROFILE)
        profile = replace(profile, user_summary=text, summed_up=True)
        await self.state.save({slots.MEMORY: memory, slots.PROFILE: profile})

    @turn
    async def forget_conversation(self, passed: HighWaterMark) -> None:
        """Forgets the turns of a conversation up to one; idempotent.

        The summary may be based on these turns, so it is forgotten, and one that is under way will
        be ignored.
        """
        marks = await self.cleared_mark(passed)
        if marks is None:
            return
        memory, profile = await asyncio.gather(
            self.state.load_or_new(slots.MEMORY), self.state.load_or_new(slots.PROFILE)
        )
        if profile.summed_up:
            profile = replace(profile, user_summary=None, summed_up=False)
        entries, origins = without_turns(memory.entries, memory.origins, passed)
        fresh, fresh_origins = without_turns(memory.fresh, memory.fresh_origins, passed)
        memory = replace(
            memory,
            entries=entries,
            origins=origins,
            fresh=fresh,
            fresh_origins=fresh_origins,
            events=memory.events + 1,
            summarised=memory.events,
        )
        await self.state.save({**marks, slots.MEMORY: memory, slots.PROFILE: profile})

    @turn
    async def forget(self, request: ForgetUser) -> None:
        """Forgets the user; the marks move up, and the number of events stays."""
        events = (await self.state.load_or_new(slots.MEMORY)).events
        empty = Memory(events=events, summarised=events)
        await self.wipe(request, {slots.MEMORY: empty, slots.PROFILE: None})


def with_exchange(memory: Memory, event: TurnEvent) -> Memory:
    """The memory with the messages of one more event, and no more entries than allowed."""
    messages = (event.input, event.output)
    cut = (Message(entry.role, entry.content[:FRESH_CHARACTERS]) for entry in messages)
    here = (origin_of(event),) * len(messages)
    return replace(
        memory,
        entries=(*memory.entries, *messages)[-ENTRIES:],
        seen=memory.seen if event.seq is not None else with_id(memory.seen, event.event_id),
        events=memory.events + 1,
        fresh=(*memory.fresh, *cut)[-FRESH:],
        origins=(*memory.origins, *here)[-ENTRIES:],
        fresh_origins=(*memory.fresh_origins, *here)[-FRESH:],
    )
