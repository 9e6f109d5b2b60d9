"""The floor: the same framework validates the same body, returns the same shape, and does no more.

Run as `python -m bench.floor PORT`.
"""

import sys
from typing import Annotated, Literal

from fastapi import FastAPI, Header
from pydantic import BaseModel, ConfigDict
from uuid_utils import uuid7

from bench.serve import serve


class ChatMessage(BaseModel):
    """What the service validates."""

    model_config = ConfigDict(strict=True)

    role: Literal["user"]
    content: str


class Entry(BaseModel):
    """A message or an answer."""

    role: Literal["user", "assistant"]
    content: str


class ChatAnswer(BaseModel):
    """What the service answers."""

    response: Entry
    turn_id: str


def bare() -> FastAPI:
    """An app whose turns do nothing: no actor, no store, no event."""
    app = FastAPI(title="floor")

    @app.post("/chat/{actor_id}")
    async def say(
        actor_id: str,  # noqa: ARG001 - Parsed, as in the service.
        message: ChatMessage,
        idempotency_key: Annotated[str | None, Header()] = None,  # noqa: ARG001 - The same.
        prefer: Annotated[str | None, Header()] = None,  # noqa: ARG001 - The same.
    ) -> ChatAnswer:
        reply = Entry.model_construct(
            role="assistant", content=f"Got your message: {message.content}"
        )
        return ChatAnswer.model_construct(response=reply, turn_id=str(uuid7()))

    return app


if __name__ == "__main__":
    serve(bare(), int(sys.argv[1]))
