"""`/memory/{actor_id}` and `/memories/{user_id}`: what the agents remember of a user."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from agent_actors.protocol.messages import Person
from agent_actors.routes.edge.bodies import Body, MessageDocument
from agent_actors.routes.edge.dependencies import ActorIdPath, Text, UserIdPath, services_of
from agent_actors.routes.edge.problems import responses

router = APIRouter()


class MemoryDocument(BaseModel):
    """The last messages and replies of a user: three at most, newest last."""

    memory: list[MessageDocument]


class UserMetadata(Body):
    """A user's name, preferred style of conversation, and a summary of what is known."""

    name: Annotated[Text, Field(min_length=1, max_length=200)] = Field(examples=["Junaid"])
    preferred_style: Annotated[Text, Field(min_length=1, max_length=200)] = Field(
        examples=["formal"]
    )
    user_summary: Annotated[Text, Field(min_length=1, max_length=2_000)] = Field(
        examples=["Junaid enjoys coding and scheduling tasks."]
    )


class InitializedUser(BaseModel):
    """The description that was set."""

    status: Literal["success"] = "success"
    user_id: str = Field(examples=["junaid"])
    metadata: UserMetadata


@router.get("/memory/{actor_id}", tags=["memory"], responses=responses(422, 503))
async def memory(actor_id: ActorIdPath, request: Request) -> MemoryDocument:
    """The user's last messages and replies. Events feed it, so it follows the history shortly."""
    entries = (await services_of(request).reader.memory(actor_id)).entries
    return MemoryDocument.model_construct(memory=[MessageDocument.of(entry) for entry in entries])


@router.get("/memories/{user_id}", tags=["users"], responses=responses(422, 503))
async def memories(user_id: UserIdPath, request: Request) -> UserMetadata:
    """The description of the user. Its summary is updated from the user's conversations."""
    person = await services_of(request).reader.person(user_id)
    return UserMetadata.model_construct(
        name=person.name, preferred_style=person.preferred_style, user_summary=person.user_summary
    )


@router.post(
    "/memories/{user_id}/initialize", tags=["users"], responses=responses(400, 413, 422, 503)
)
async def initialize(
    user_id: UserIdPath, metadata: UserMetadata, request: Request
) -> InitializedUser:
    """Set the description of the user."""
    person = Person(metadata.name, metadata.preferred_style, metadata.user_summary)
    await services_of(request).actors.memory.initialize(user_id, person)
    return InitializedUser(user_id=user_id, metadata=metadata)
