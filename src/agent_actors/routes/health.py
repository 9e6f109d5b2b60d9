"""`/`, `/livez`, `/readyz`: is it there, is it alive, can actors be called?"""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse, Response

from agent_actors.errors import Unavailable
from agent_actors.routes.dependencies import services
from agent_actors.routes.problems import responses

router = APIRouter(tags=["health"])


class Welcome(BaseModel):
    """What this is."""

    message: str = Field(examples=["Welcome to agent-actors: AI agents as Dapr virtual actors."])


class Status(BaseModel):
    """It is so."""

    status: str = Field("ok", examples=["ok"])


@router.get("/", response_model=Welcome)
async def welcome(request: Request) -> Welcome | Response:
    """A greeting; browsers are sent to the API's documentation."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/docs")
    return Welcome(message="Welcome to agent-actors: AI agents as Dapr virtual actors.")


@router.get("/livez")
async def alive() -> Status:
    """The process answers; nothing else is asked."""
    return Status(status="ok")


@router.get("/readyz", responses=responses(503))
async def ready(request: Request) -> Status:
    """Actors can be called now."""
    reason = await services(request).runtime.unready()
    if reason is not None:
        raise Unavailable(reason)
    return Status(status="ok")
