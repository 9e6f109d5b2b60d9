"""`/chat/{actor_id}/follow-up`: a message, its reply, and a question that the agents add."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from agent_actors.protocol.messages import Message, ProcessTurn
from agent_actors.routes.edge.bodies import ChatMessage, MessageDocument
from agent_actors.routes.edge.dependencies import ActorIdPath, services_of
from agent_actors.routes.turns import (
    MESSAGE_RESPONSES,
    TURN_ID,
    KeyHeader,
    TurnDocument,
    accepted,
    new_turn,
    reply_of,
)

router = APIRouter(prefix="/chat", tags=["chat"])


class FollowUpDocument(TurnDocument):
    """The agents' question, and the state of its turn."""

    question: str = Field(examples=["Tell me more about: Hello, agent!"])


class FollowUpReply(BaseModel):
    """The agent's reply, the turn that made it, and the turn that followed it."""

    response: MessageDocument
    turn_id: str = Field(examples=[TURN_ID])
    follow_up: FollowUpDocument


@router.post(
    "/{actor_id}/follow-up",
    response_model=FollowUpReply,
    response_model_exclude_none=True,
    responses=MESSAGE_RESPONSES,
)
async def follow_up(
    actor_id: ActorIdPath,
    message: ChatMessage,
    request: Request,
    idempotency_key: KeyHeader = None,
) -> FollowUpReply | Response:
    """Send a message; then ResponseAgent calls ChatAgent back with a question about it.

    This needs Dapr's reentrancy (`AGENT_ACTORS_REENTRANCY_DEPTH`); without it, the answer is 409.
    Both turns happen once, however often the request is sent with its `Idempotency-Key`. If the
    first turn takes longer than the parking time, the answer is 202, and there is no follow-up.
    """
    services = services_of(request)
    content = Message(message.role, message.content)
    turn = new_turn(services, actor_id, actor_id, content, idempotency_key)
    process = ProcessTurn(turn, services.settings.parking_time)
    result = await services.actors.chat.ask_follow_up(actor_id, process)
    if result.turn.reply is None or result.follow_up is None:
        return accepted(f"/chat/{actor_id}/turns", result.turn)
    second = TurnDocument.of(result.follow_up)
    return FollowUpReply(
        response=reply_of(result.turn),
        turn_id=result.turn.turn_id,
        follow_up=FollowUpDocument(question=result.question, **dict(second)),
    )
