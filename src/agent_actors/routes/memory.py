"""`/memory/{actor_id}`: what the agent remembers of a user."""

from fastapi import APIRouter, Request
from pydantic import BaseModel

from agent_actors.routes.edge.bodies import MessageDocument
from agent_actors.routes.edge.dependencies import ActorIdPath, services_of
from agent_actors.routes.edge.problems import responses

router = APIRouter(prefix="/memory", tags=["memory"])


class MemoryDocument(BaseModel):
    """Three entries at most, newest last."""

    memory: list[MessageDocument]


@router.get("/{actor_id}", responses=responses(422, 503))
async def memory(actor_id: ActorIdPath, request: Request) -> MemoryDocument:
    """What the agent remembers of this user; fed by events, so a moment behind the history."""
    entries = (await services_of(request).reader.memory(actor_id)).entries
    return MemoryDocument.model_construct(memory=[MessageDocument.of(entry) for entry in entries])
