"""`/analytics/{user_id}`: how many messages of a user were answered, and the tokens they took."""

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from agent_actors.errors import NotFound
from agent_actors.routes.edge.bodies import Body
from agent_actors.routes.edge.dependencies import Services, UserIdPath, services_of
from agent_actors.routes.edge.problems import responses
from agent_actors.state.documents.users import Analytics

router = APIRouter(prefix="/analytics", tags=["users"])


class MessageCount(BaseModel):
    """The number of the user's messages that were answered."""

    message_count: int = Field(examples=[5])


class NewMessageCount(Body):
    """The number of answered messages to begin with."""

    message_count: int = Field(strict=True, ge=0, le=2**53, examples=[5])


class InitializedAnalytics(BaseModel):
    """The number that was set."""

    status: Literal["success"] = "success"
    user_id: str = Field(examples=["bob"])
    message_count: int = Field(examples=[5])


class ModelUsage(BaseModel):
    """The messages that one model answered, and the tokens they took, as that model counts."""

    messages: int
    input_tokens: int
    output_tokens: int


class UsageDocument(BaseModel):
    """The user's messages and their tokens, in all and for each model."""

    message_count: int = Field(examples=[5])
    input_tokens: int
    output_tokens: int
    models: dict[str, ModelUsage]

    @classmethod
    def of(cls, analytics: Analytics) -> "UsageDocument":
        """The document of a user's analytics."""
        return cls(
            message_count=analytics.message_count,
            input_tokens=analytics.usage.input_tokens,
            output_tokens=analytics.usage.output_tokens,
            models={
                name: ModelUsage(
                    messages=use.messages,
                    input_tokens=use.input_tokens,
                    output_tokens=use.output_tokens,
                )
                for name, use in analytics.models
            },
        )


@router.get("/{user_id}", responses=responses(404, 422, 503))
async def count(user_id: UserIdPath, request: Request) -> MessageCount:
    """How many of the user's messages were answered, in all conversations."""
    analytics = await _analytics(services_of(request), user_id)
    return MessageCount.model_construct(message_count=analytics.message_count)


@router.get("/{user_id}/usage", responses=responses(404, 422, 503))
async def usage(user_id: UserIdPath, request: Request) -> UsageDocument:
    """The same number, with tokens, in all and for each model."""
    return UsageDocument.of(await _analytics(services_of(request), user_id))


@router.post("/{user_id}/initialize", responses=responses(400, 413, 422, 503))
async def initialize(
    user_id: UserIdPath, new: NewMessageCount, request: Request
) -> InitializedAnalytics:
    """Set the number of answered messages."""
    await services_of(request).actors.analytics.initialize(user_id, new.message_count)
    return InitializedAnalytics(user_id=user_id, message_count=new.message_count)


async def _analytics(services: Services, user: str) -> Analytics:
    """The user's analytics.

    Raises:
        NotFound: The user was deleted and has sent nothing since.
    """
    found = await services.reader.analytics(user)
    if found is None and await services.reader.forgotten_at(user) is not None:
        raise NotFound("This user was deleted and has sent nothing since.")
    return found or Analytics()
