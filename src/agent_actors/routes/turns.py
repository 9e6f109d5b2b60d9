"""What the routes that send a message have in common: its turn, and the answers to it."""

from typing import Annotated, Any

from fastapi import Header, Path, Query, Request, Response
from pydantic import BaseModel

from agent_actors.conversation.runner import TurnRunner
from agent_actors.protocol import ids
from agent_actors.protocol.messages import (
    Message,
    Problem,
    Turn,
    TurnState,
    TurnStatus,
    check_message,
)
from agent_actors.routes.edge.bodies import MessageDocument
from agent_actors.routes.edge.dependencies import Services
from agent_actors.routes.edge.preferences import Preferences
from agent_actors.routes.edge.problems import responses

TURN_ID = "019aa7c2-5f6b-7c3e-8d2a-0c9a4f1e6b7d"
"""An example."""

_SAME_TURN = "A retry with the same idempotency key and body is the same turn."
KeyHeader = Annotated[str | None, Header(description=_SAME_TURN)]
MESSAGE_HEADERS = {
    "parameters": [
        {
            "name": name.lower(),
            "in": "header",
            "required": False,
            "schema": {
                "anyOf": [{"type": "string"}, {"type": "null"}],
                "title": name,
                "description": description,
            },
            "description": description,
        }
        for name, description in (
            ("Idempotency-Key", _SAME_TURN),
            ("Prefer", "`wait=N` (seconds) or `respond-async` (RFC 7240)."),
        )
    ]
}
"""What the OpenAPI document says of the headers of a message, which `headers_of` reads."""
BeforeQuery = Annotated[
    int | None, Query(ge=1, le=2**53, description="Only turns below this number.")
]
TurnIdPath = Annotated[str, Path(max_length=64, examples=[TURN_ID])]


class TurnDocument(BaseModel):
    """The state of a turn."""

    turn_id: str
    status: TurnStatus
    response: MessageDocument | None = None
    error: Problem | None = None

    @classmethod
    def of(cls, state: TurnState) -> "TurnDocument":
        """The document of a turn's state."""
        return cls(
            turn_id=state.turn_id,
            status=state.status,
            response=reply_of(state) if state.reply else None,
            error=state.error,
        )


MESSAGE_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"model": TurnDocument, "description": "Accepted; `Location` is the turn's address."},
    **responses(400, 404, 409, 410, 413, 422, 429, 502, 503, 504),
}
"""The answers to a message besides its reply."""


def headers_of(request: Request) -> tuple[str | None, str | None]:
    """The headers `Idempotency-Key` and `Prefer` of a message.

    A function: for FastAPI to resolve two parameters takes a twentieth of a turn's time.
    """
    return request.headers.get("idempotency-key"), request.headers.get("prefer")


def new_turn(
    services: Services, conversation: str, user: str, message: Message, key: str | None
) -> Turn:
    """The turn of a message. A retry with the same `Idempotency-Key` is the same turn.

    Raises:
        CallerError: The message or the key is invalid.
    """
    check_message(message, services.settings.message_bytes)
    body = ids.body_hash(message)
    if key is None:
        return Turn(services.new_turn_id(), "", body, user, message)
    hashed = ids.key_hash(key)
    return Turn(ids.turn_id(conversation, hashed, body), hashed, body, user, message)


async def run(
    runner: TurnRunner, conversation: str, turn: Turn, prefer: str | None, request: Request
) -> tuple[TurnState, dict[str, str]]:
    """Runs a turn, and waits for its end as long as the caller prefers.

    Returns its state, and the headers of the answer: `Preference-Applied`, or none.

    Raises:
        AgentError: The turn was not accepted.
    """
    preferences = Preferences.read(prefer)
    wait = preferences.patience(runner.longest)
    state = await runner.answer(conversation, turn, wait, request.is_disconnected)
    applied = preferences.applied(runner.longest)
    return state, {"Preference-Applied": applied} if applied else {}


def reply_of(state: TurnState) -> MessageDocument:
    """The agent's reply; the turn must have one."""
    content = state.reply.content if state.reply else ""
    return MessageDocument.model_construct(role="assistant", content=content)


def accepted(
    turns: str,
    state: TurnState,
    headers: dict[str, str] | None = None,
    document: TurnDocument | None = None,
) -> Response:
    """The answer if a turn has no reply yet: 202, and `Location` is its address below `turns`.

    Its body is the turn's `document`, or that of its state.

    Raises:
        AgentError: The turn has failed.
    """
    if state.error is not None:
        raise state.error.error()
    body = (document or TurnDocument.of(state)).model_dump_json(exclude_none=True)
    location = {"Location": f"{turns}/{state.turn_id}"}
    return Response(body, 202, location | (headers or {}), "application/json")
