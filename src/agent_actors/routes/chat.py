"""`/chat/{actor_id}`: send a message, read the history, look at a turn, clear the conversation."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from agent_actors.protocol.messages import Message
from agent_actors.routes.edge.bodies import ChatMessage, MessageDocument
from agent_actors.routes.edge.dependencies import ActorIdPath, services_of
from agent_actors.routes.edge.problems import responses
from agent_actors.routes.turns import (
    MESSAGE_HEADERS,
    MESSAGE_RESPONSES,
    TURN_ID,
    BeforeQuery,
    TurnDocument,
    TurnIdPath,
    accepted,
    headers_of,
    new_turn,
    reply_of,
    run,
)
from agent_actors.state.documents.conversation import Pair

router = APIRouter(prefix="/chat", tags=["chat"])

SHOWN = 5
"""Entries of a history without `limit`."""


class ChatReply(BaseModel):
    """The agent's reply, and the turn that made it."""

    response: MessageDocument
    turn_id: str = Field(examples=[TURN_ID])


class HistoryEntry(MessageDocument):
    """A message or a reply; `scheduled` is there, and true, if a schedule sent the message."""

    scheduled: bool = False


class HistoryDocument(BaseModel):
    """The last messages and replies, oldest first."""

    history: list[HistoryEntry]


class HistoryPage(HistoryDocument):
    """A page of the whole transcript; `next` is the `before` of the page with older turns."""

    next: int | None


@router.post(
    "/{actor_id}",
    response_model=ChatReply,
    responses=MESSAGE_RESPONSES,
    openapi_extra=MESSAGE_HEADERS,
)
async def say(
    actor_id: ActorIdPath,
    message: ChatMessage,
    request: Request,
    response: Response,
) -> ChatReply | Response:
    """Send a message to the agent and get its reply.

    The turn happens once, however often it is sent with its `Idempotency-Key`. If the turn takes
    longer than the caller waits, the answer is 202 with the turn's address, and the turn goes on.
    """
    services = services_of(request)
    idempotency_key, prefer = headers_of(request)
    content = Message(message.role, message.content)
    turn = new_turn(services, actor_id, actor_id, content, idempotency_key)
    state, headers = await run(services.turns, actor_id, turn, prefer, request)
    if state.reply is None:
        return accepted(f"/chat/{actor_id}/turns", state, headers)
    response.headers.update(headers)
    return ChatReply.model_construct(response=reply_of(state), turn_id=state.turn_id)


@router.get(
    "/{actor_id}/history",
    response_model=HistoryPage | HistoryDocument,
    response_model_exclude_unset=True,
    responses=responses(422, 503),
)
async def history(
    actor_id: ActorIdPath,
    request: Request,
    limit: Annotated[
        int | None, Query(ge=1, le=1000, description="Entries, rounded down to whole turns.")
    ] = None,
    before: BeforeQuery = None,
) -> HistoryPage | HistoryDocument:
    """The last two turns; with `limit` or `before`, any page of the whole transcript."""
    turns = max(1, (limit or SHOWN) // 2)
    page = await services_of(request).reader.history(actor_id, turns, before)
    entries = [entry for pair in page.pairs for entry in _entries(pair)]
    if limit is None and before is None:
        return HistoryDocument.model_construct(history=entries)
    return HistoryPage.model_construct(history=entries, next=page.next)


@router.get(
    "/{actor_id}/turns/{turn_id}",
    response_model=TurnDocument,
    response_model_exclude_none=True,
    responses=responses(404, 410, 422, 503),
)
async def turn(actor_id: ActorIdPath, turn_id: TurnIdPath, request: Request) -> TurnDocument:
    """The state of a turn, with its reply once it has one."""
    return TurnDocument.of(await services_of(request).session_turns.turn(actor_id, turn_id))


@router.delete("/{actor_id}/history", status_code=204, responses=responses(422, 503))
async def clear(actor_id: ActorIdPath, request: Request) -> None:
    """Clear the conversation: hidden at once, erased soon after; waiting turns are cancelled."""
    await services_of(request).actors.chat.clear(actor_id)


def _entries(pair: Pair) -> list[HistoryEntry]:
    messages = (pair.exchange.input, pair.exchange.output)
    entry = HistoryEntry.model_construct
    if pair.schedule:
        return [entry(role=each.role, content=each.content, scheduled=True) for each in messages]
    # Without `scheduled`: values that are not set are left out of the answer.
    return [entry(role=each.role, content=each.content) for each in messages]
