"""`/chat/{actor_id}/follow-up`: a message, its answer, and what the agents ask of it themselves."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from agent_actors.protocol.messages import Message, ProcessTurn
from agent_actors.routes.chat import (
    SAYING,
    KeyHeader,
    TurnDocument,
    accepted,
    document,
    turn_of,
)
from agent_actors.routes.edge.bodies import ChatMessage, MessageDocument
from agent_actors.routes.edge.dependencies import ActorIdPath, services_of

router = APIRouter(prefix="/chat", tags=["chat"])


class FollowUpDocument(TurnDocument):
    """The question that was asked, and where its turn is."""

    question: str = Field(examples=["Tell me more about: Hello, agent!"])


class FollowUpReply(BaseModel):
    """The agent's reply, the turn that made it, and the turn that followed it."""

    response: MessageDocument
    turn_id: str = Field(examples=["019aa7c2-5f6b-7c3e-8d2a-0c9a4f1e6b7d"])
    follow_up: FollowUpDocument


@router.post(
    "/{actor_id}/follow-up",
    response_model=FollowUpReply,
    response_model_exclude_none=True,
    responses=SAYING,
)
async def follow_up(
    actor_id: ActorIdPath, said: ChatMessage, request: Request, idempotency_key: KeyHeader = None
) -> FollowUpReply | Response:
    """Say something, and have the agents ask about it: ChatAgent is called back by ResponseAgent.

    It needs Dapr's reentrancy (`AGENT_ACTORS_REENTRANCY_DEPTH`); without it: 409. Both turns happen
    once, however often this is sent with its `Idempotency-Key`. Where the first one takes longer
    than the parking time: 202, and it is not followed up.
    """
    services = services_of(request)
    message = Message(said.role, said.content)
    turn = turn_of(services, (actor_id, actor_id), message, idempotency_key)
    asked = ProcessTurn(turn, services.settings.parking_time)
    followed = await services.chat.ask_follow_up(actor_id, asked)
    if followed.turn.reply is None or followed.follow_up is None:
        return accepted(f"/chat/{actor_id}/turns", followed.turn, "")
    follows = document(followed.follow_up)
    return FollowUpReply(
        response=MessageDocument(role="assistant", content=followed.turn.reply.content),
        turn_id=followed.turn.turn_id,
        follow_up=FollowUpDocument(question=followed.question, **dict(follows)),
    )
