"""`/chat/{actor_id}/schedules`: messages that become turns at a time, or again and again."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from agent_actors.errors import NotFound, TryLater
from agent_actors.forms import duration
from agent_actors.protocol import ids
from agent_actors.protocol.messages import Message, check_message
from agent_actors.protocol.schedules import RemoveSchedule, Schedule
from agent_actors.routes.edge.bodies import Body
from agent_actors.routes.edge.dependencies import ActorIdPath, services_of
from agent_actors.routes.edge.problems import responses
from agent_actors.routes.turns import TURN_ID, KeyHeader

router = APIRouter(prefix="/chat", tags=["schedules"])

FURTHEST = 366 * 86_400.0
"""Seconds: the longest time to wait, and the longest period."""
TIMES = 1_000
"""The largest number of occurrences that a schedule may have."""

_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def _seconds(value: object) -> object:
    """The seconds of a duration that is written as text; pydantic checks anything else."""
    if not isinstance(value, str):
        return value
    try:
        return duration.seconds(value)
    except ValueError:
        # The text of the error is not used: it repeats the value.
        msg = "not a duration such as '1h30m', 'PT1H30M', 'P1D' or 90 (seconds)"
        raise ValueError(msg) from None


def _instant(value: object) -> object:
    """The epoch seconds of an RFC 3339 time."""
    if value is None:
        return None
    msg = "not a time with its offset, such as '2030-01-31T09:00:00+01:00' (RFC 3339)"
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError(msg)
    try:
        return datetime.fromisoformat(value.upper()).timestamp()
    except ValueError:
        raise ValueError(msg) from None


_Duration = Annotated[
    float,
    Field(le=FURTHEST, allow_inf_nan=False),
    BeforeValidator(_seconds),
    WithJsonSchema(
        {"anyOf": [{"type": "number"}, {"type": "string"}], "examples": ["1h30m", "PT24H", 90]}
    ),
]
Wait = Annotated[_Duration, Field(ge=0)]
Period = Annotated[_Duration, Field(ge=1)]
Instant = Annotated[
    float,
    BeforeValidator(_instant),
    WithJsonSchema(
        {"type": "string", "examples": ["2030-01-31T09:00:00+01:00"], "format": "date-time"}
    ),
]
ScheduleIdPath = Annotated[str, Path(max_length=64, examples=[TURN_ID])]


class NewSchedule(Body):
    """A message and its times: exactly one of `due_in`, `due_at` and `every` is needed.

    A duration is a number of seconds, or text in the format of Go or of ISO 8601. With `every`, the
    first occurrence is due after one period; `times` is the number of occurrences.
    """

    model_config = ConfigDict(
        strict=True,
        json_schema_extra={"examples": [{"content": "How is my day?", "every": "24h"}]},
    )

    content: str
    due_in: Wait | None = None
    due_at: Instant | None = None
    every: Period | None = Field(None, validate_default=True)
    times: int | None = Field(None, ge=1, le=TIMES)

    @field_validator("every")
    @classmethod
    def _one_of_three(cls, every: float | None, info: ValidationInfo) -> float | None:
        others = [info.data[name] for name in ("due_in", "due_at") if name in info.data]
        present = [each for each in (*others, every) if each is not None]
        if len(others) == 2 and len(present) != 1:
            raise ValueError("give exactly one of due_in, due_at and every")
        return every

    @field_validator("times")
    @classmethod
    def _counts_periods(cls, times: int | None, info: ValidationInfo) -> int | None:
        if times is not None and "every" in info.data and info.data["every"] is None:
            raise ValueError("only with every")
        return times

    @property
    def plan(self) -> tuple[object, ...]:
        """Everything that must be the same in a retry with the same key."""
        return (self.content, self.due_in, self.due_at, self.every, self.times)

    def due(self, now: float) -> float:
        """The time of the first occurrence in epoch seconds."""
        if self.due_at is not None:
            return self.due_at
        return now + next(each for each in (self.due_in, self.every) if each is not None)


class ScheduleDocument(BaseModel):
    """A schedule as it is now. `every` is in seconds; `times_left` is missing without `times`."""

    schedule_id: str = Field(examples=[TURN_ID])
    content: str = Field(examples=["How is my day?"])
    next_due: str = Field(examples=["2030-01-31T08:00:00+00:00"])
    every: float | None = None
    times_left: int | None = None
    occurrences: int = Field(examples=[0])
    created_at: str = Field(examples=["2030-01-30T08:00:00+00:00"])

    @classmethod
    def of(cls, schedule: Schedule) -> "ScheduleDocument":
        """The document of a schedule."""
        return cls(
            schedule_id=schedule.id,
            content=schedule.content,
            next_due=_rfc_3339(schedule.next_due),
            every=schedule.every,
            times_left=schedule.left,
            occurrences=schedule.number,
            created_at=_rfc_3339(schedule.created),
        )


class ScheduleList(BaseModel):
    """The schedules of a user; the next one that is due comes first."""

    schedules: list[ScheduleDocument]


@router.post(
    "/{actor_id}/schedules",
    status_code=201,
    response_model_exclude_none=True,
    responses={
        201: {"description": "Created; `Location` is the schedule's address."},
        **responses(400, 404, 409, 410, 413, 422, 503),
    },
)
async def schedule(
    actor_id: ActorIdPath,
    new: NewSchedule,
    request: Request,
    response: Response,
    idempotency_key: KeyHeader = None,
) -> ScheduleDocument:
    """Schedule a message: each time it is due, it becomes a turn of the user.

    With an `Idempotency-Key`, a retry returns the same schedule.
    """
    services = services_of(request)
    check_message(Message("user", new.content), services.settings.message_bytes)
    hashed = "" if idempotency_key is None else ids.key_hash(idempotency_key)
    schedule_id = ids.schedule_id(actor_id, hashed, new.plan) if hashed else services.new_turn_id()
    now = services.clock.now().timestamp()
    due = new.due(now)
    schedule = Schedule(schedule_id, new.content, due, now, new.every, new.times, key_hash=hashed)
    # A retry may come after the time of its schedule.
    in_range = now <= due <= now + FURTHEST
    if not in_range and not (await services.reader.schedules(actor_id)).knows(schedule_id):
        reason = f"not a time from now to {FURTHEST / 86_400:.0f} days from now"
        row: dict[str, Any] = {"type": "value_error", "loc": ("body", "due_at"), "msg": reason}
        raise RequestValidationError([row])
    try:
        saved = await services.actors.chat.add_schedule(actor_id, schedule)
    except TryLater as error:
        if not hashed:
            error.retry = "no"  # It may have been saved: a retry would add a second schedule.
        raise
    response.headers["Location"] = f"/chat/{actor_id}/schedules/{saved.id}"
    return ScheduleDocument.of(saved)


@router.get(
    "/{actor_id}/schedules",
    response_model_exclude_none=True,
    responses=responses(422, 503),
)
async def schedules(actor_id: ActorIdPath, request: Request) -> ScheduleList:
    """The schedules that have not ended."""
    found = await services_of(request).reader.schedules(actor_id)
    ordered = sorted(found.schedules, key=lambda each: each.next_due)
    return ScheduleList(schedules=[ScheduleDocument.of(each) for each in ordered])


@router.get(
    "/{actor_id}/schedules/{schedule_id}",
    response_model_exclude_none=True,
    responses=responses(404, 422, 503),
)
async def one(
    actor_id: ActorIdPath, schedule_id: ScheduleIdPath, request: Request
) -> ScheduleDocument:
    """A schedule as it is now."""
    found = (await services_of(request).reader.schedules(actor_id)).find(schedule_id)
    if found is None:
        raise NotFound("There is no such schedule. It may have ended, or was deleted.")
    return ScheduleDocument.of(found)


@router.delete(
    "/{actor_id}/schedules/{schedule_id}", status_code=204, responses=responses(422, 503)
)
async def unschedule(actor_id: ActorIdPath, schedule_id: ScheduleIdPath, request: Request) -> None:
    """Delete a schedule; 204 also if it has ended already. The turns it has begun stay."""
    await services_of(request).actors.chat.remove_schedule(actor_id, RemoveSchedule(schedule_id))


def _rfc_3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
