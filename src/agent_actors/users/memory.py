"""MemoryAgentActor: what a user said lately, and who the user is; fed by events."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from dapr.actor import ActorId
from dapr.actor.runtime.context import ActorRuntimeContext

from agent_actors.protocol.ids import user_of
from agent_actors.protocol.interfaces import MemoryAgentInterface
from agent_actors.protocol.messages import (
    EventResult,
    ForgetUser,
    HighWaterMark,
    MarkRequest,
    MemorySnapshot,
    Message,
    Person,
    TurnEvent,
    UserSummary,
)
from agent_actors.state import slots
from agent_actors.state.documents import Memory, Profile
from agent_actors.turns.actor import Host, turn
from agent_actors.users.consumer import Consumer, kept_apart, origin_of, with_id

ENTRIES = 3
"""Entries of a memory."""
FRESH = 32
"""Entries kept for the next summary."""
FRESH_CHARACTERS = 400
"""Characters of such an entry."""


Heard = Callable[[str, int], None]
"""Is told how many exchanges a user's summary does not know yet, after each event."""


class MemoryAgentActor(Consumer, MemoryAgentInterface):
    """The memory of one user, over all conversations.

    It says itself when a summary may be due: it lives in one process only, so that however many
    replicas there are, a user's summary is made by one of them.
    """

    def __init__(
        self, ctx: ActorRuntimeContext, actor_id: ActorId, host: Host, heard: Heard
    ) -> None:
        super().__init__(ctx, actor_id, host)
        self._heard = heard

    @turn
    async def update_memory(self, event: TurnEvent) -> EventResult:
        """Applies an event. One that is missing before it makes it a gap: nothing is saved."""
        memory = await self._memory()
        standing = await self.standing(event, memory.seen)
        if standing == "applied":
            memory = remembering(memory, event)
            await self.apply([event], {slots.MEMORY: memory})
        if standing != "gap":
            self._heard(user_of(self.id.id), memory.events - memory.summarised)
        return EventResult(standing)

    @turn
    async def get_memory(self) -> tuple[Message, ...]:
        """The entries, newest last."""
        return (await self._memory()).entries

    @turn
    async def get_mark(self, request: MarkRequest) -> int:
        """The number of the last event of a conversation that is effective; 0 before the first."""
        return await self.mark(request.conversation)

    @turn
    async def recall(self) -> MemorySnapshot:
        """The entries, and who the user is."""
        await self.state.prepare(slots.MEMORY, slots.PROFILE)
        memory, profile = await self._memory(), await self._profile()
        return MemorySnapshot(memory.entries, profile.person(user_of(self.id.id)))

    @turn
    async def initialize(self, person: Person) -> None:
        """Says who the user is. A summary that is being made of what was said before is ignored."""
        memory = await self._memory()
        memory = replace(memory, summarised=memory.events, fresh=(), fresh_origins=())
        profile = Profile(
            name=person.name,
            preferred_style=person.preferred_style,
            user_summary=person.user_summary,
        )
        await self.state.save({slots.MEMORY: memory, slots.PROFILE: profile})

    @turn
    async def keep_summary(self, request: UserSummary) -> None:
        """Keeps a summary, unless a newer one is there, or the user was forgotten since."""
        memory = await self._memory()
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
        profile = replace(await self._profile(), user_summary=text, summed_up=True)
        await self.state.save({slots.MEMORY: memory, slots.PROFILE: profile})

    @turn
    async def forget_conversation(self, passed: HighWaterMark) -> None:
        """Forgets what was said in a conversation up to a turn; once, however often it is told.

        The summary goes too, and one that is being made is ignored: it may be of what was said.
        """
        marks = await self.forgetting(passed)
        if marks is None:
            return
        memory, profile = await asyncio.gather(self._memory(), self._profile())
        if profile.summed_up:
            profile = replace(profile, user_summary=None, summed_up=False)
        memory = apart_from(memory, passed)
        memory = replace(memory, events=memory.events + 1, summarised=memory.events)
        await self.state.save({**marks, slots.MEMORY: memory, slots.PROFILE: profile})

    @turn
    async def forget(self, request: ForgetUser) -> None:
        """Forgets the user; the marks move up, and the number of events stays."""
        events = (await self._memory()).events
        empty = Memory(events=events, summarised=events)
        await self.wipe(request, {slots.MEMORY: empty, slots.PROFILE: None})

    async def _memory(self) -> Memory:
        return await self.state.load(slots.MEMORY) or Memory()

    async def _profile(self) -> Profile:
        return await self.state.load(slots.PROFILE) or Profile()


def remembering(memory: Memory, event: TurnEvent) -> Memory:
    """The memory with one exchange more, and no more than its entries."""
    said = (event.input, event.output)
    cut = (replace(entry, content=entry.content[:FRESH_CHARACTERS]) for entry in said)
    here = (origin_of(event),) * len(said)
    return replace(
        memory,
        entries=(*memory.entries, *said)[-ENTRIES:],
        seen=memory.seen if event.seq is not None else with_id(memory.seen, event.event_id),
        events=memory.events + 1,
        fresh=(*memory.fresh, *cut)[-FRESH:],
        origins=(*memory.origins, *here)[-ENTRIES:],
        fresh_origins=(*memory.fresh_origins, *here)[-FRESH:],
    )


def apart_from(memory: Memory, passed: HighWaterMark) -> Memory:
    """The memory without what was said in turns that are over."""
    entries, origins = kept_apart(memory.entries, memory.origins, passed)
    fresh, fresh_origins = kept_apart(memory.fresh, memory.fresh_origins, passed)
    return replace(
        memory, entries=entries, origins=origins, fresh=fresh, fresh_origins=fresh_origins
    )
