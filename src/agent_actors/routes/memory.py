"""`/memory/{actor_id}`: what the agent remembers of a user."""

from fastapi import APIRouter, Request
from pydantic import BaseModel

from agent_actors.routes.chat import Entry
from agent_actors.routes.dependencies import ActorIdPath, services
from agent_actors.routes.problems import responses

router = APIRouter(prefix="/memory", tags=["memory"])


class Remembered(BaseModel):
    """Three entries at most, newest last."""

    memory: list[Entry]


@router.get("/{actor_id}", responses=responses(422, 503))
async def memory(actor_id: ActorIdPath, request: Request) -> Remembered:
    """What the agent remembers of this user; fed by events, so a moment behind the history."""
    entries = (await services(request).saved.memory(actor_id)).entries
    return Remembered.model_construct(memory=[Entry.of(entry) for entry in entries])
