"""`/chat/{actor_id}`: say something, read what was said, look at a turn, clear."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import BaseModel, Field

from agent_actors.protocol import ids
from agent_actors.protocol.messages import (
    Message,
    Problem,
    Turn,
    TurnState,
    TurnStatus,
    check_message,
)
from agent_actors.routes.edge.bodies import ChatMessage, MessageDocument
from agent_actors.routes.edge.dependencies import ActorIdPath, Services, services_of
from agent_actors.routes.edge.preferences import Preferences
from agent_actors.routes.edge.problems import responses
from agent_actors.state.documents import Pair

router = APIRouter(prefix="/chat", tags=["chat"])

SHOWN = 5
"""Entries of a history without `limit`."""

KeyHeader = Annotated[
    str | None, Header(description="A retry with the same key and body is the same turn.")
]
PreferHeader = Annotated[
    str | None, Header(description="`wait=N` (seconds) or `respond-async` (RFC 7240).")
]
TurnIdPath = Annotated[str, Path(max_length=64, examples=["019aa7c2-5f6b-7c3e-8d2a-0c9a4f1e6b7d"])]


class ChatReply(BaseModel):
    """The agent's reply, and the turn that made it."""

    response: MessageDocument
    turn_id: str = Field(examples=["019aa7c2-5f6b-7c3e-8d2a-0c9a4f1e6b7d"])


class TurnDocument(BaseModel):
    """Where a turn is."""

    turn_id: str
    status: TurnStatus
    response: MessageDocument | None = None
    error: Problem | None = None


class HistoryEntry(MessageDocument):
    """One thing that was said, or answered; `scheduled` is there where a schedule said it."""

    scheduled: bool = False


class HistoryDocument(BaseModel):
    """What was said, oldest first; `next` is the `before` of the page before this one."""

    history: list[HistoryEntry]


class HistoryPage(HistoryDocument):
    """A page of the whole transcript."""

    next: int | None


SAYING: dict[int | str, dict[str, Any]] = {
    202: {"model": TurnDocument, "description": "Accepted; `Location` has the turn."},
    **responses(400, 404, 409, 410, 413, 422, 429, 502, 503, 504),
}
"""What else whoever says something may be answered."""


@router.post(
    "/{actor_id}",
    response_model=ChatReply,
    responses=SAYING,
)
async def say(
    actor_id: ActorIdPath,
    said: ChatMessage,
    request: Request,
    response: Response,
    idempotency_key: KeyHeader = None,
    prefer: PreferHeader = None,
) -> ChatReply | Response:
    """Say something to the agent and get its reply.

    The turn happens once, however often it is sent with its `Idempotency-Key`. A caller that will
    wait no longer gets 202 and the turn's address; the turn goes on.
    """
    services = services_of(request)
    preferences = Preferences.read(prefer)
    message = Message(said.role, said.content)
    turn = turn_of(services, (actor_id, actor_id), message, idempotency_key)
    wait = preferences.patience(services.settings.wait_time)
    state = await services.answers.answer(actor_id, turn, wait, request.is_disconnected)
    applied = preferences.applied(services.settings.wait_time)
    if applied:
        response.headers["Preference-Applied"] = applied
    if state.reply is not None:
        reply = MessageDocument.model_construct(role="assistant", content=state.reply.content)
        return ChatReply.model_construct(response=reply, turn_id=state.turn_id)
    return accepted(f"/chat/{actor_id}/turns", state, applied)


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
        int | None, Query(ge=1, le=1000, description="Entries, rounded down to whole pairs.")
    ] = None,
    before: Annotated[
        int | None, Query(ge=1, le=2**53, description="Only turns below this number.")
    ] = None,
) -> HistoryPage | HistoryDocument:
    """What was said lately; with `limit` or `before`, any page of the whole transcript."""
    pairs = max(1, (limit or SHOWN) // 2)
    page = await services_of(request).reader.history(actor_id, pairs, before)
    entries = [entry for pair in page.pairs for entry in entries_of(pair)]
    if limit is None and before is None:
        return HistoryDocument.model_construct(history=entries)
    return HistoryPage.model_construct(history=entries, next=page.next)


@router.get(
    "/{actor_id}/turns/{turn_id}",
    response_model=TurnDocument,
    response_model_exclude_none=True,
    responses=responses(404, 410, 422, 503),
)
async def turn(
    actor_id: ActorIdPath,
    turn_id: TurnIdPath,
    request: Request,
) -> TurnDocument:
    """Where a turn is, with its answer once it has one."""
    return document(await services_of(request).carried.turn(actor_id, turn_id))


@router.delete("/{actor_id}/history", status_code=204, responses=responses(422, 503))
async def clear(actor_id: ActorIdPath, request: Request) -> None:
    """Clear the conversation: hidden at once, erased soon after; waiting turns are cancelled."""
    await services_of(request).chat.clear(actor_id)


def entries_of(pair: Pair) -> list[HistoryEntry]:
    """What was said and answered, as routes show it."""
    said = (pair.exchange.input, pair.exchange.output)
    entry = HistoryEntry.model_construct
    if pair.schedule:
        return [entry(role=each.role, content=each.content, scheduled=True) for each in said]
    return [entry(role=each.role, content=each.content) for each in said]


def turn_of(services: Services, whose: tuple[str, str], message: Message, key: str | None) -> Turn:
    """The turn of a message, by its key if it has one.

    Args:
        services: For the limits and new ids.
        whose: The conversation and its user.
        message: What was said.
        key: The `Idempotency-Key`.

    Raises:
        CallerError: The message or the key is not one.
    """
    conversation, user = whose
    check_message(message, services.settings.message_bytes)
    body = ids.body_hash(message)
    if key is None:
        return Turn(services.new_turn_id(), "", body, user, message)
    hashed = ids.key_hash(key)
    return Turn(ids.turn_id(conversation, hashed, body), hashed, body, user, message)


def document(state: TurnState) -> TurnDocument:
    """Where a turn is, as routes show it."""
    reply = state.reply
    return TurnDocument(
        turn_id=state.turn_id,
        status=state.status,
        response=MessageDocument(role="assistant", content=reply.content) if reply else None,
        error=state.error,
    )


def accepted(turns: str, state: TurnState, applied: str) -> Response:
    """The answer to a caller whose turn has no reply: 202 with its address under `turns`.

    Raises:
        AgentError: The turn has failed.
    """
    if state.error is not None:
        raise state.error.error()
    headers = {"Location": f"{turns}/{state.turn_id}"}
    if applied:
        headers["Preference-Applied"] = applied
    body = document(state).model_dump_json(exclude_none=True)
    return Response(body, 202, headers, "application/json")
