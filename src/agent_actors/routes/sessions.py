"""`POST /chat/` and `/conversations/{session_id}`: users who have sessions, as in the lessons."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from agent_actors.errors import AgentError, Blank
from agent_actors.protocol import ids
from agent_actors.protocol.messages import Message, Role
from agent_actors.routes.edge.bodies import Body
from agent_actors.routes.edge.dependencies import UserId, services_of
from agent_actors.routes.edge.permits import permit, permit_session, place_of_turns
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
from agent_actors.users.session import open_session

router = APIRouter(tags=["sessions"])

SESSION = "90f6242e-7dae-494f-a919-e47b0bd8815e"
"""An example."""
SessionId = Annotated[str, AfterValidator(ids.session_id)]
SessionIdPath = Annotated[
    str,
    Path(
        json_schema_extra={"pattern": f"^{ids.ID_FORM}$"},
        description="The `session_id` in a request or an answer of `POST /chat/`.",
        examples=[SESSION],
    ),
    AfterValidator(ids.session_id),
]


class MessageMetadata(Body):
    """The session of a message; without one, the message begins a new session."""

    session_id: SessionId | None = Field(None, examples=[SESSION])
    timestamp: str | None = Field(None, max_length=64, examples=["2025-04-06T12:00:00Z"])


class UserMessage(Body):
    """A user's message in a session."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"user_id": "junaid", "text": "What time is it?", "tags": ["question"]}]
        }
    )

    user_id: UserId
    text: str
    metadata: MessageMetadata | None = None
    tags: Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=64)] | None = None


class ReplyMetadata(BaseModel):
    """The time and the session of an answer."""

    timestamp: str = Field(examples=["2025-04-08T23:33:48.142950+00:00"])
    session_id: str = Field(examples=[SESSION])


class UserReply(BaseModel):
    """The agent's reply, and the turn that made it."""

    user_id: str = Field(examples=["junaid"])
    reply: str
    metadata: ReplyMetadata
    turn_id: str = Field(examples=[TURN_ID])


class AcceptedMessage(TurnDocument):
    """The state of a turn that goes on, and its session."""

    metadata: ReplyMetadata


class SessionEntry(BaseModel):
    """A message or a reply, and the time at which its turn was committed."""

    role: Role
    content: str
    timestamp: str = Field(examples=["2025-04-08T23:33:48.142950+00:00"])


class SessionHistory(BaseModel):
    """The messages and replies of a session, oldest first."""

    history: list[SessionEntry]


@router.post(
    "/chat/",
    response_model=UserReply,
    responses=MESSAGE_RESPONSES | {202: MESSAGE_RESPONSES[202] | {"model": AcceptedMessage}},
    openapi_extra=MESSAGE_HEADERS,
)
async def say(
    message: UserMessage,
    request: Request,
    response: Response,
) -> UserReply | Response:
    """Send a message in a session, or begin a session with it.

    Memory belongs to the user: the next session knows what the last one was about. A session
    belongs to the user who began it. `Idempotency-Key` and waiting work as in
    `POST /chat/{actor_id}`.
    """
    permit(request, message.user_id)
    services = services_of(request)
    if not message.text.strip():
        raise Blank("Message text cannot be empty")
    idempotency_key, prefer = headers_of(request)
    session_id = _session(message, idempotency_key)
    conversation = ids.session(session_id)
    content = Message("user", message.text)
    turn = new_turn(services, conversation, message.user_id, content, idempotency_key)
    try:
        await open_session(services.reader, services.actors.sessions, message.user_id, conversation)
        state, headers = await run(services.session_turns, conversation, turn, prefer, request)
        metadata = ReplyMetadata.model_construct(
            timestamp=services.clock.now().isoformat(), session_id=session_id
        )
        if state.reply is None:
            document = AcceptedMessage(**dict(TurnDocument.of(state)), metadata=metadata)
            return accepted(f"/conversations/{session_id}/turns", state, headers, document)
    except AgentError as error:
        error.session_id = session_id  # The next message can go on in it.
        raise
    response.headers.update(headers)
    return UserReply.model_construct(
        user_id=message.user_id,
        reply=reply_of(state).content,
        metadata=metadata,
        turn_id=state.turn_id,
    )


@router.get("/conversations/{session_id}", responses=responses(422, 503))
async def history(
    session_id: SessionIdPath,
    request: Request,
    limit: Annotated[
        int, Query(ge=2, le=1000, description="Entries, rounded down to whole turns.")
    ] = 1000,
    before: BeforeQuery = None,
    *,
    response: Response,
) -> SessionHistory:
    """The history of a session; empty if the session does not exist.

    If there are older turns, the header `Link` has the address of their page (`rel="next"`).
    """
    conversation = ids.session(session_id)
    await permit_session(request, conversation)
    page = await services_of(request).reader.history(conversation, limit // 2, before)
    if page.next is not None:
        older = f"/conversations/{session_id}?limit={limit}&before={page.next}"
        response.headers["Link"] = f'<{older}>; rel="next"'
    return SessionHistory.model_construct(
        history=[
            SessionEntry.model_construct(
                role=entry.role, content=entry.content, timestamp=pair.occurred_at
            )
            for pair in page.pairs
            for entry in (pair.exchange.input, pair.exchange.output)
        ]
    )


@router.get(
    "/conversations/{session_id}/turns/{turn_id}",
    response_model=TurnDocument,
    response_model_exclude_none=True,
    responses=responses(404, 410, 422, 503),
)
async def turn(session_id: SessionIdPath, turn_id: TurnIdPath, request: Request) -> TurnDocument:
    """The state of a turn in a session, with its reply once it has one."""
    place = await place_of_turns(request, ids.session(session_id))
    return TurnDocument.of(await services_of(request).session_turns.turn(place, turn_id))


def _session(message: UserMessage, key: str | None) -> str:
    """The session of the message, or a new one; each retry of a key gets the same new one."""
    if message.metadata is not None and message.metadata.session_id is not None:
        return message.metadata.session_id
    if key is not None:
        return ids.session_for(message.user_id, ids.key_hash(key))
    return str(uuid.uuid4())
