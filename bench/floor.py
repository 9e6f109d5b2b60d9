"""The floor: the same framework validates the same body and answers the same shape, no more.

Run as `python -m bench.floor PORT`.
"""

import sys
from typing import Annotated, Literal

from fastapi import FastAPI, Header
from pydantic import BaseModel, ConfigDict
from uuid_utils import uuid7

from bench.serve import serve


class Said(BaseModel):
    """What the service validates."""

    model_config = ConfigDict(strict=True)

    role: Literal["user"]
    content: str


class Entry(BaseModel):
    """One thing that was said."""

    role: Literal["user", "assistant"]
    content: str


class Answered(BaseModel):
    """What the service answers."""

    response: Entry
    turn_id: str


def bare() -> FastAPI:
    """An app whose turns do nothing: no actor, no store, no event."""
    app = FastAPI(title="floor")

    @app.post("/chat/{actor_id}")
    async def say(
        actor_id: str,  # noqa: ARG001 - parsed, as the service does.
        said: Said,
        idempotency_key: Annotated[str | None, Header()] = None,  # noqa: ARG001 - the same.
        prefer: Annotated[str | None, Header()] = None,  # noqa: ARG001 - the same.
    ) -> Answered:
        reply = Entry.model_construct(role="assistant", content=f"Got your message: {said.content}")
        return Answered.model_construct(response=reply, turn_id=str(uuid7()))

    return app


if __name__ == "__main__":
    serve(bare(), int(sys.argv[1]))
