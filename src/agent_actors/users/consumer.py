"""The base of the actors that consume events: each event takes effect once and in order (I4).

A consumer keeps, for every conversation, a mark: the number of the last event that it applied.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeVar

from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.interfaces import ConsumerInterface
from agent_actors.protocol.messages import ForgetUser, HighWaterMark, MarkRequest
from agent_actors.state import slots
from agent_actors.state.documents.users import Mark, Origin, Tombstone
from agent_actors.state.slots import Slot
from agent_actors.state.store import Changes
from agent_actors.turns.actor import TurnActor, turn

Marks = dict[str, int]
"""The number of the last applied event, by conversation."""

T = TypeVar("T")

SEEN = 64
"""The number of ids, of events without a number or of turns, that a consumer keeps."""


class Consumer(TurnActor, ConsumerInterface):
    """An actor of one user that applies the events of the user's conversations."""

    async def classify(
        self, event: TurnEvent, seen: tuple[str, ...], marks: Marks | None = None
    ) -> Literal["applied", "duplicate", "gap"]:
        """Whether an event is due, was applied before, or has to wait for an earlier one.

        If it is `applied`, the caller applies it and then calls `apply`. `seen` are the ids of the
        last events without a number, `marks` those of the same batch, which are not saved yet.
        """
        if event.seq is None:
            if event.event_id in seen:
                return "duplicate"
            tombstone = await self.state.load(slots.TOMBSTONE)
            # Published before its user was forgotten?
            late = tombstone is not None and event.at is not None and event.at <= tombstone.at
            return "duplicate" if late else "applied"
        mark = (marks or {}).get(event.conversation)
        if mark is None:
            mark = (await self.state.load_or_new(slots.mark(event.conversation))).seq
        mark = max(mark, event.floor)
        if event.seq <= mark:
            return "duplicate"
        return "applied" if event.seq == mark + 1 else "gap"

    async def apply(self, events: Sequence[TurnEvent], effect: Changes) -> None:
        """Saves the effect of events and their marks.

        This is one transaction: with two, a crash in between could apply an event twice.
        """
        marks = {
            slots.mark(event.conversation): replace(
                await self.state.load_or_new(slots.mark(event.conversation)), seq=event.seq
            )
            for event in events
            if event.seq is not None
        }
        await self.state.save({**effect, **marks})

    async def select(
        self, events: Sequence[TurnEvent], seen: tuple[str, ...]
    ) -> tuple[Sequence[TurnEvent], tuple[str, ...]]:
        """The events of a batch that are due, in order, and the ids of those that are too early."""
        marks: Marks = {}
        due: list[TurnEvent] = []
        early: list[str] = []
        for event in events:
            status = await self.classify(event, seen, marks)
            if status == "gap":
                early.append(event.event_id)
            elif status == "applied":
                due.append(event)
                if event.seq is None:
                    seen = (*seen, event.event_id)
                else:
                    marks[event.conversation] = event.seq
        return due, tuple(early)

    @turn
    async def get_mark(self, request: MarkRequest) -> int:
        """The number of the last applied event of a conversation; 0 before the first."""
        return (await self.state.load_or_new(slots.mark(request.conversation))).seq

    async def wipe(self, request: ForgetUser, effect: Changes) -> None:
        """Saves an effect, moves the marks up, and notes when the user was forgotten."""
        marks: dict[Slot[Mark], Mark] = {}
        for each in request.passed:
            mark = await self.state.load_or_new(slots.mark(each.conversation))
            marks[slots.mark(each.conversation)] = replace(mark, seq=max(each.seq, mark.seq))
        await self.state.save({**effect, **marks, slots.TOMBSTONE: Tombstone(at=request.at)})

    async def cleared_mark(self, upto: HighWaterMark) -> Changes | None:
        """The mark of a conversation that was cleared up to a turn, to be saved with the effect.

        None if the consumer has already forgotten these turns.
        """
        mark = await self.state.load_or_new(slots.mark(upto.conversation))
        if upto.seq <= mark.forgotten:
            return None
        mark = replace(mark, seq=max(upto.seq, mark.seq), forgotten=upto.seq)
        return {slots.mark(upto.conversation): mark}


def without_turns(
    items: Sequence[T], origins: tuple[Origin, ...], upto: HighWaterMark
) -> tuple[tuple[T, ...], tuple[Origin, ...]]:
    """The items, with their origins, that are not of the turns up to this one.

    Origins belong to the last items. Earlier releases saved none; items without one are kept.
    """
    known = (*(Origin() for _ in range(len(items) - len(origins))), *origins)
    kept = [
        (item, origin)
        for item, origin in zip(items, known, strict=True)
        if origin.conversation != upto.conversation or origin.seq > upto.seq
    ]
    return tuple(item for item, _ in kept), tuple(origin for _, origin in kept)


def origin_of(event: TurnEvent) -> Origin:
    """The turn that an event is about."""
    return Origin(event.conversation, event.seq or 0)


def with_id(seen: tuple[str, ...], new: str) -> tuple[str, ...]:
    """The ids with one more, without those that are too old."""
    return (*seen, new)[-SEEN:]
