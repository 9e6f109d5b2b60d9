"""`POST /chat/` and `/conversations/{session_id}`: users who have sessions, as in the lessons."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from agent_actors.errors import Blank
from agent_actors.protocol import ids
from agent_actors.protocol.messages import Message, Role, TurnState
from agent_actors.routes.chat import (
    SAYING,
    KeyHeader,
    PreferHeader,
    TurnDocument,
    TurnIdPath,
    accepted,
    document,
    turn_of,
)
from agent_actors.routes.edge.dependencies import Services, UserId, services_of
from agent_actors.routes.edge.permits import permit, permit_session, place_of_turns
from agent_actors.routes.edge.preferences import Preferences
from agent_actors.routes.edge.problems import responses
from agent_actors.users.session import open_session

router = APIRouter(tags=["sessions"])

SESSION = "90f6242e-7dae-494f-a919-e47b0bd8815e"
SessionId = Annotated[str, AfterValidator(ids.session_id)]
SessionIdPath = Annotated[
    str,
    Path(
        json_schema_extra={"pattern": f"^{ids.ID_FORM}$"},
        description="A session, as `POST /chat/` named it or was told it.",
        examples=[SESSION],
    ),
    AfterValidator(ids.session_id),
]


class MessageMetadata(BaseModel):
    """Which session a message belongs to; without one, it begins one."""

    session_id: SessionId | None = Field(None, examples=[SESSION])
    timestamp: str | None = Field(None, max_length=64, examples=["2025-04-06T12:00:00Z"])


class UserMessage(BaseModel):
    """What a user says."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"user_id": "junaid", "text": "What time is it?", "tags": ["question"]}]
        }
    )

    user_id: UserId
    text: str
    metadata: MessageMetadata | None = None
    tags: list[Annotated[str, Field(max_length=256)]] = Field(default_factory=list, max_length=64)


class ReplyMetadata(BaseModel):
    """When the answer was given, and in which session."""

    timestamp: str = Field(examples=["2025-04-08T23:33:48.142950+00:00"])
    session_id: str = Field(examples=[SESSION])


class UserReply(BaseModel):
    """The agent's answer."""

    user_id: str = Field(examples=["junaid"])
    reply: str
    metadata: ReplyMetadata


class SessionEntry(BaseModel):
    """One thing that was said, and when its turn was committed."""

    role: Role
    content: str
    timestamp: str = Field(examples=["2025-04-08T23:33:48.142950+00:00"])


class SessionHistory(BaseModel):
    """What was said in a session, oldest first."""

    history: list[SessionEntry]


@router.post(
    "/chat/",
    response_model=UserReply,
    responses=SAYING,
)
async def say(
    said: UserMessage,
    request: Request,
    response: Response,
    idempotency_key: KeyHeader = None,
    prefer: PreferHeader = None,
) -> UserReply | Response:
    """Say something in a session, or begin one.

    What was said in one session is known in the user's next one. A session belongs to the user who
    began it. Keys and waiting are as for `POST /chat/{actor_id}`.
    """
    permit(request, said.user_id)
    services = services_of(request)
    if not said.text.strip():
        raise Blank("Message text cannot be empty")
    session_id = _session(said, idempotency_key)
    conversation = ids.session(session_id)
    message = Message("user", said.text)
    turn = turn_of(services, (conversation, said.user_id), message, idempotency_key)
    await open_session(services.reader, services.sessions, said.user_id, conversation)
    preferences = Preferences.read(prefer)
    longest = services.carried.longest
    wait = preferences.patience(longest)
    state = await services.carried.answer(conversation, turn, wait, request.is_disconnected)
    applied = preferences.applied(longest)
    if applied:
        response.headers["Preference-Applied"] = applied
    if state.reply is not None:
        return _answered(services, said.user_id, session_id, state)
    return accepted(f"/conversations/{session_id}/turns", state, applied)


@router.get("/conversations/{session_id}", responses=responses(422, 503))
async def history(
    session_id: SessionIdPath,
    request: Request,
    limit: Annotated[
        int, Query(ge=2, le=1000, description="Entries, rounded down to whole pairs.")
    ] = 1000,
    before: Annotated[
        int | None, Query(ge=1, le=2**53, description="Only turns below this number.")
    ] = None,
    *,
    response: Response,
) -> SessionHistory:
    """What was said in a session; nothing in one that nobody began.

    Where there is more before it, the header `Link` has the address of that (`rel="next"`).
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
    """Where a turn of a session is, with its answer once it has one."""
    place = await place_of_turns(request, ids.session(session_id))
    return document(await services_of(request).carried.turn(place, turn_id))


def _session(said: UserMessage, key: str | None) -> str:
    """The session that was named, or a new one: the same for each retry of a key."""
    if said.metadata is not None and said.metadata.session_id is not None:
        return said.metadata.session_id
    if key is not None:
        return ids.session_for(said.user_id, ids.key_hash(key))
    return str(uuid.uuid4())


def _answered(services: Services, user: str, session_id: str, state: TurnState) -> UserReply:
    metadata = ReplyMetadata.model_construct(
        timestamp=services.clock.now().isoformat(), session_id=session_id
    )
    reply = state.reply.content if state.reply else ""
    return UserReply.model_construct(user_id=user, reply=reply, metadata=metadata)
