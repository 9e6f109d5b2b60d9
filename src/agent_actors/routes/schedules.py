"""`/chat/{actor_id}/schedules`: what the agent is told by itself, so that it speaks up."""

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
from agent_actors.routes.chat import KeyHeader
from agent_actors.routes.edge.dependencies import ActorIdPath, Services, services_of
from agent_actors.routes.edge.problems import responses

router = APIRouter(prefix="/chat", tags=["schedules"])

FURTHEST = 366 * 86_400.0
"""Seconds: nothing is planned for later, and no period is longer."""
TIMES = 1_000
"""The most times that may be counted."""

_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def _seconds(given: object) -> object:
    """The length of a duration in words; anything else is left to pydantic."""
    if not isinstance(given, str):
        return given
    try:
        return duration.seconds(given)
    except ValueError:
        # Not its text, which repeats what was sent.
        msg = "not a duration such as '1h30m', 'PT1H30M', 'P1D' or 90 (seconds)"
        raise ValueError(msg) from None


def _instant(given: object) -> object:
    """An RFC 3339 time in epoch seconds."""
    if given is None:
        return None
    msg = "not a time with its offset, such as '2030-01-31T09:00:00+01:00' (RFC 3339)"
    if not isinstance(given, str) or not _RFC_3339.fullmatch(given):
        raise ValueError(msg)
    try:
        return datetime.fromisoformat(given.upper()).timestamp()
    except ValueError:
        raise ValueError(msg) from None


def _schema(kind: str, *examples: object, **more: object) -> WithJsonSchema:
    return WithJsonSchema({"type": kind, "examples": list(examples), **more})


_DURATION = {"anyOf": [{"type": "number"}, {"type": "string"}], "examples": ["1h30m", "PT24H", 90]}
Wait = Annotated[
    float,
    Field(ge=0, le=FURTHEST, allow_inf_nan=False),
    BeforeValidator(_seconds),
    WithJsonSchema(_DURATION),
]
Period = Annotated[
    float,
    Field(ge=1, le=FURTHEST, allow_inf_nan=False),
    BeforeValidator(_seconds),
    WithJsonSchema(_DURATION),
]
Instant = Annotated[
    float,
    BeforeValidator(_instant),
    _schema("string", "2030-01-31T09:00:00+01:00", format="date-time"),
]
ScheduleIdPath = Annotated[
    str, Path(max_length=64, examples=["019aa7c2-5f6b-7c3e-8d2a-0c9a4f1e6b7d"])
]


class NewSchedule(BaseModel):
    """What is to be said, and when: exactly one of `due_in`, `due_at` and `every`.

    A duration is a number of seconds, or text in Go's form or ISO 8601's. What comes `every` so
    often comes first after one period; `times` counts how often.
    """

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
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
        given = [each for each in (*others, every) if each is not None]
        if len(others) == 2 and len(given) != 1:
            msg = "give exactly one of due_in, due_at and every"
            raise ValueError(msg)
        return every

    @field_validator("times")
    @classmethod
    def _counts_periods(cls, times: int | None, info: ValidationInfo) -> int | None:
        if times is not None and "every" in info.data and info.data["every"] is None:
            msg = "only with every"
            raise ValueError(msg)
        return times

    @property
    def plan(self) -> tuple[object, ...]:
        """By what a key's schedule is compared."""
        return (self.content, self.due_in, self.due_at, self.every, self.times)

    def due(self, now: float) -> float:
        """When it is due first, in epoch seconds."""
        if self.due_at is not None:
            return self.due_at
        return now + next(each for each in (self.due_in, self.every) if each is not None)


class ScheduleDocument(BaseModel):
    """A schedule as it is now; `every` is in seconds, `times_left` is there where it is counted."""

    schedule_id: str = Field(examples=["019aa7c2-5f6b-7c3e-8d2a-0c9a4f1e6b7d"])
    content: str = Field(examples=["How is my day?"])
    next_due: str = Field(examples=["2030-01-31T08:00:00+00:00"])
    every: float | None = None
    times_left: int | None = None
    occurrences: int = Field(examples=[0])
    created_at: str = Field(examples=["2030-01-30T08:00:00+00:00"])

    @classmethod
    def of(cls, schedule: Schedule) -> "ScheduleDocument":
        """The schedule as routes show it."""
        return cls(
            schedule_id=schedule.id,
            content=schedule.content,
            next_due=_shown(schedule.next_due),
            every=schedule.every,
            times_left=schedule.left,
            occurrences=schedule.number,
            created_at=_shown(schedule.created),
        )


class ScheduleList(BaseModel):
    """The schedules of a user; the one that is due next comes first."""

    schedules: list[ScheduleDocument]


@router.post(
    "/{actor_id}/schedules",
    status_code=201,
    response_model_exclude_none=True,
    responses={
        201: {"description": "Kept; `Location` has the schedule."},
        **responses(400, 404, 409, 410, 413, 422, 503),
    },
)
async def schedule(
    actor_id: ActorIdPath,
    asked: NewSchedule,
    request: Request,
    response: Response,
    idempotency_key: KeyHeader = None,
) -> ScheduleDocument:
    """Have the agent speak up by itself: the content becomes a turn each time it is due.

    With an `Idempotency-Key`, the same request sent again is the same schedule.
    """
    services = services_of(request)
    check_message(Message("user", asked.content), services.settings.message_bytes)
    made = _schedule(services, actor_id, asked, idempotency_key)
    late = not made.created <= made.next_due <= made.created + FURTHEST
    if late and not (await services.reader.schedules(actor_id)).knows(made.id):
        raise _out_of_range()
    try:
        kept = await services.chat.add_schedule(actor_id, made)
    except TryLater as error:
        if not made.key_hash:
            error.retry = "no"  # It may be kept: sent again it would be another one.
        raise
    response.headers["Location"] = f"/chat/{actor_id}/schedules/{kept.id}"
    return ScheduleDocument.of(kept)


@router.get(
    "/{actor_id}/schedules",
    response_model_exclude_none=True,
    responses=responses(422, 503),
)
async def schedules(actor_id: ActorIdPath, request: Request) -> ScheduleList:
    """The schedules that have not ended."""
    kept = await services_of(request).reader.schedules(actor_id)
    ordered = sorted(kept.schedules, key=lambda each: each.next_due)
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
    kept = (await services_of(request).reader.schedules(actor_id)).find(schedule_id)
    if kept is None:
        raise NotFound("There is no such schedule: it has ended, was deleted, or never was.")
    return ScheduleDocument.of(kept)


@router.delete(
    "/{actor_id}/schedules/{schedule_id}", status_code=204, responses=responses(422, 503)
)
async def unschedule(actor_id: ActorIdPath, schedule_id: ScheduleIdPath, request: Request) -> None:
    """End a schedule, also one that has ended already; what it has said stays."""
    await services_of(request).chat.remove_schedule(actor_id, RemoveSchedule(schedule_id))


def _schedule(services: Services, user: str, asked: NewSchedule, key: str | None) -> Schedule:
    hashed = "" if key is None else ids.key_hash(key)
    schedule_id = ids.schedule_id(user, hashed, asked.plan) if hashed else services.new_turn_id()
    now = services.clock.now().timestamp()
    return Schedule(
        schedule_id,
        asked.content,
        asked.due(now),
        now,
        asked.every,
        asked.times,
        key_hash=hashed,
    )


def _out_of_range() -> RequestValidationError:
    """Of a time that is past, or too far away: a retry of a key may come after its time."""
    reason = f"not a time from now to {FURTHEST / 86_400:.0f} days from now"
    row: dict[str, Any] = {"type": "value_error", "loc": ("body", "due_at"), "msg": reason}
    return RequestValidationError([row])


def _shown(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
