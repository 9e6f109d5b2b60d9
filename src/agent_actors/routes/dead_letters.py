"""`/events/dead`: the events that could not be applied, for operators."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from agent_actors.errors import NotFound
from agent_actors.protocol import wire
from agent_actors.protocol.dead_letters import DeadLetter
from agent_actors.routes.edge.bodies import EventStatus
from agent_actors.routes.edge.dependencies import operator
from agent_actors.routes.edge.problems import responses

router = APIRouter(tags=["events"])

LETTER = {
    "id": "5f0c3c5e-7b0f-5c53-9d0e-3a1f0c9c1b7a",
    "topic": wire.USER_CHAT,
    "reason": "it names no user",
    "tries": 0,
    "at": "2026-01-01T12:00:00Z",
    "event": {"id": "x", "data": {}},
}
"""An example of a dead letter."""


class DeadLetterList(BaseModel):
    """Events that could not be applied, newest first."""

    dead: list[DeadLetter] = Field(examples=[[LETTER]])


@router.get("/events/dead", responses=responses(403, 422, 503))
async def dead(
    request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> DeadLetterList:
    """Events that could not be applied, newest first."""
    return DeadLetterList(dead=list(await operator(request).dead_letters.list(limit)))


@router.post("/events/dead/{letter_id}/requeue", responses=responses(403, 404, 409, 422, 503))
async def requeue(
    letter_id: Annotated[str, Path(examples=[LETTER["id"]])], request: Request
) -> EventStatus:
    """Deliver a dead letter once more; it is forgotten if that succeeds."""
    if await operator(request).dead_letters.requeue(letter_id) is None:
        raise NotFound(f"There is no dead letter {letter_id!r}.")
    return EventStatus(status="SUCCESS")
