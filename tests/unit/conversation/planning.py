"""Schedules of the conversation `ada`: planned, fired, and looked at."""

from typing import Any

from agent_actors.protocol import ids
from agent_actors.protocol.messages import CompleteTurn, Failure, Reply
from agent_actors.protocol.schedules import RemoveSchedule, Schedule, Schedules
from agent_actors.state.reader import StateReader
from agent_actors.state.store import StateStore
from tests.unit.conversation.talk import ADA, Talk

PERIOD = "0h0m30s0ms0μs"
"""The recovery period, as Dapr writes it."""


def seconds(talk: Talk) -> float:
    return talk.clock.now().timestamp()


async def plan(talk: Talk, content: str, due: float = 10.0, *, key: str = "", **more: Any) -> Any:
    """Adds a schedule whose id is its content: as it is kept, or the error that is returned."""
    now = seconds(talk)
    every = more.get("every")
    asked = Schedule(content, content, now + (every or due), now, every, more.get("times"), 0, key)
    kept: object = await talk.chat.add_schedule(asked)
    return kept.error if isinstance(kept, Failure) else kept


async def remove(talk: Talk, schedule_id: str) -> object:
    """Ends it: the error that is returned, or None."""
    done: object = await talk.chat.remove_schedule(RemoveSchedule(schedule_id))  # type: ignore[func-returns-value]
    return done


async def fire(talk: Talk, schedule_id: str) -> object:
    """Its reminder fires: the error that is returned, or None."""
    name = ids.schedule_reminder(schedule_id)
    zero = talk.zero
    done: object = await talk.chat.receive_reminder(name, b"", zero, zero)  # type: ignore[func-returns-value]
    return done


async def fire_at(talk: Talk, later: float, schedule_id: str) -> object:
    """The same, after so many seconds."""
    talk.clock.jump(later)
    return await fire(talk, schedule_id)


def due_in(talk: Talk, schedule_id: str) -> str | None:
    """When its reminder fires next, as it was registered; None if there is none."""
    found = talk.client.reminders.get((*ADA, ids.schedule_reminder(schedule_id)))
    assert found is None or found["period"] == PERIOD
    return found["dueTime"] if found else None


async def kept(talk: Talk) -> Schedules:
    """As it is saved."""
    return await StateReader(StateStore(talk.client, talk.clock, 5.0), 256).schedules("ada")


def said(talk: Talk) -> list[tuple[str, str]]:
    """The messages in the tail, each with the schedule that sent it."""
    return [(pair.input.content, pair.schedule) for pair in talk.head.tail]


def ended(talk: Talk) -> CompleteTurn:
    """The model's end of the queue's first turn."""
    return CompleteTurn(talk.head.queue[0].turn.turn_id, Reply("hello"))
