"""`/memories/{user_id}`: who a user is, as the agents know it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from agent_actors.protocol.messages import Person
from agent_actors.routes.edge.dependencies import Text, UserIdPath, services_of
from agent_actors.routes.edge.problems import responses

router = APIRouter(prefix="/memories", tags=["users"])


class UserMetadata(BaseModel):
    """A user's name, how to talk to the user, and what is known of the user."""

    name: Annotated[Text, Field(min_length=1, max_length=200)] = Field(examples=["Junaid"])
    preferred_style: Annotated[Text, Field(min_length=1, max_length=200)] = Field(
        examples=["formal"]
    )
    user_summary: Annotated[Text, Field(min_length=1, max_length=2_000)] = Field(
        examples=["Junaid enjoys coding and scheduling tasks."]
    )


class InitializedUser(BaseModel):
    """What was set."""

    status: Literal["success"] = "success"
    user_id: str = Field(examples=["junaid"])
    metadata: UserMetadata


@router.get("/{user_id}", responses=responses(422, 503))
async def memories(user_id: UserIdPath, request: Request) -> UserMetadata:
    """Who the user is. The summary grows with what the user says, a moment behind the history."""
    person = await services_of(request).reader.person(user_id)
    return UserMetadata.model_construct(
        name=person.name, preferred_style=person.preferred_style, user_summary=person.user_summary
    )


@router.post("/{user_id}/initialize", responses=responses(400, 413, 422, 503))
async def initialize(
    user_id: UserIdPath, metadata: UserMetadata, request: Request
) -> InitializedUser:
    """Say who the user is."""
    person = Person(metadata.name, metadata.preferred_style, metadata.user_summary)
    await services_of(request).memory.initialize(user_id, person)
    return InitializedUser(user_id=user_id, metadata=metadata)
