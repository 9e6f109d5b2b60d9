"""A consumer of events: applies those of a conversation once and in order (I4)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeVar

from agent_actors.protocol.messages import ForgetUser, HighWaterMark, TurnEvent
from agent_actors.state import slots
from agent_actors.state.documents import Mark, Origin, Tombstone
from agent_actors.state.slots import Slot
from agent_actors.state.store import Changes
from agent_actors.turns.actor import TurnActor

Marks = dict[str, int]
"""Conversations, and the number of the last event that is effective."""

T = TypeVar("T")

SEEN = 64
"""Ids of foreign events, or turns, that a consumer remembers."""


class Consumer(TurnActor):
    """The base of the actors that events are for. Each keeps marks of its own."""

    async def standing(
        self, event: TurnEvent, seen: tuple[str, ...], marks: Marks | None = None
    ) -> Literal["applied", "duplicate", "gap"]:
        """What becomes of an event.

        Args:
            event: It is `applied` by the caller, who then calls `apply`.
            seen: The ids of the last foreign events.
            marks: Of the events that were applied in this turn and are not saved yet.
        """
        if event.seq is None:
            over = event.event_id in seen or await self._older(event)
            return "duplicate" if over else "applied"
        known = (marks or {}).get(event.conversation)
        mark = max(await self.mark(event.conversation) if known is None else known, event.floor)
        if event.seq <= mark:
            return "duplicate"
        return "applied" if event.seq == mark + 1 else "gap"

    async def apply(self, events: Sequence[TurnEvent], effect: Changes) -> None:
        """Saves an effect and its marks in one transaction: in two, a crash could double it."""
        marks = {
            slots.mark(event.conversation): replace(
                await self._mark(event.conversation), seq=event.seq
            )
            for event in events
            if event.seq is not None
        }
        await self.state.save({**effect, **marks})

    async def sorted_out(
        self, events: Sequence[TurnEvent], seen: tuple[str, ...]
    ) -> tuple[Sequence[TurnEvent], tuple[str, ...]]:
        """Those of a batch that are to be applied, in order, and the ids of those that are early.

        The others came before.
        """
        marks: Marks = {}
        found: list[TurnEvent] = []
        early: list[str] = []
        for event in events:
            standing = await self.standing(event, seen, marks)
            if standing == "gap":
                early.append(event.event_id)
            elif standing == "applied":
                found.append(event)
                if event.seq is None:
                    seen = (*seen, event.event_id)
                else:
                    marks[event.conversation] = event.seq
        return found, tuple(early)

    async def wipe(self, request: ForgetUser, effect: Changes) -> None:
        """Saves an effect, and that everything up to the request's marks and time is over."""
        marks: dict[Slot[Mark], Mark] = {}
        for each in request.passed:
            mark = await self._mark(each.conversation)
            marks[slots.mark(each.conversation)] = replace(mark, seq=max(each.seq, mark.seq))
        await self.state.save({**effect, **marks, slots.TOMBSTONE: Tombstone(at=request.at)})

    async def forgetting(self, passed: HighWaterMark) -> Changes | None:
        """What is saved with it when a conversation is forgotten; None where it was before."""
        mark = await self._mark(passed.conversation)
        if passed.seq <= mark.forgotten:
            return None
        mark = replace(mark, seq=max(passed.seq, mark.seq), forgotten=passed.seq)
        return {slots.mark(passed.conversation): mark}

    async def mark(self, conversation: str) -> int:
        """The number of the last event of a conversation that is effective; 0 before the first."""
        return (await self._mark(conversation)).seq

    async def _mark(self, conversation: str) -> Mark:
        return await self.state.load(slots.mark(conversation)) or Mark()

    async def _older(self, event: TurnEvent) -> bool:
        """Is it from before the user was forgotten?"""
        tombstone = await self.state.load(slots.TOMBSTONE)
        return tombstone is not None and event.at is not None and event.at <= tombstone.at


def kept_apart(
    items: Sequence[T], origins: tuple[Origin, ...], passed: HighWaterMark
) -> tuple[tuple[T, ...], tuple[Origin, ...]]:
    """The items that were not said in turns that are over, and where those are from.

    Of the first ones it may not be known: an older release did not note it. They stay.
    """
    known = (*(Origin() for _ in range(len(items) - len(origins))), *origins)
    kept = [
        (item, origin)
        for item, origin in zip(items, known, strict=True)
        if origin.conversation != passed.conversation or origin.seq > passed.seq
    ]
    return tuple(item for item, _ in kept), tuple(origin for _, origin in kept)


def origin_of(event: TurnEvent) -> Origin:
    """Where an event's exchange was said."""
    return Origin(event.conversation, event.seq or 0)


def with_id(seen: tuple[str, ...], new: str) -> tuple[str, ...]:
    """The last ids, with one more."""
    return (*seen, new)[-SEEN:]
