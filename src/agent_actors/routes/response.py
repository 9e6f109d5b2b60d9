"""`/response/{actor_id}`: the number of answered messages."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from agent_actors.routes.edge.dependencies import ActorIdPath, services_of
from agent_actors.routes.edge.problems import responses

router = APIRouter(prefix="/response", tags=["response"])


class Count(BaseModel):
    """The number of committed turns; clearing the conversation does not lower it."""

    count: int = Field(examples=[2])


@router.get("/{actor_id}/count", responses=responses(404, 422, 503))
async def count(actor_id: ActorIdPath, request: Request) -> Count:
    """How many messages of this conversation were answered; 404 after its user was deleted."""
    return Count.model_construct(count=await services_of(request).reader.count(actor_id))
