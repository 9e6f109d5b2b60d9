"""`/`, health and configuration: is it there, is it alive, can actors be called?"""

from dapr.actor import ActorRuntime
from dapr.serializers import DefaultJSONSerializer
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import RedirectResponse, Response

from agent_actors.errors import Unavailable
from agent_actors.routes.edge.dependencies import services_of
from agent_actors.routes.edge.problems import responses

router = APIRouter(tags=["health"])


class Welcome(BaseModel):
    """What this is."""

    message: str = Field(examples=["Welcome to agent-actors: AI agents as Dapr virtual actors."])


class Status(BaseModel):
    """It is so."""

    status: str = Field("ok", examples=["ok"])


class ActorConfig(BaseModel):
    """The actor types of this service, and when they are put away."""

    model_config = ConfigDict(extra="allow")

    entities: list[str] = Field(examples=[["ChatAgent", "ResponseAgent", "MemoryAgentActor"]])
    actorIdleTimeout: str = Field(examples=["0h1m0s0ms0μs"])  # noqa: N815 - as Dapr spells it
    drainOngoingCallTimeout: str = Field(examples=["0h0m2s0ms0μs"])  # noqa: N815 - the same


@router.get("/", response_model=Welcome)
async def welcome(request: Request) -> Welcome | Response:
    """A greeting; browsers are sent to the API's documentation."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/docs")
    return Welcome(message="Welcome to agent-actors: AI agents as Dapr virtual actors.")


@router.get("/healthz")
async def healthy() -> Status:
    """The process answers, as the Dapr SDK says it."""
    return Status(status="ok")


@router.get("/dapr/config", response_model=ActorConfig)
async def dapr_config(request: Request) -> Response:
    """What a sidecar is told of the actors, as the Dapr SDK says it; durations are Go's."""
    await services_of(request).runtime.sidecar_started()
    body = DefaultJSONSerializer().serialize(ActorRuntime.get_actor_config())
    return Response(body, media_type="application/json")


@router.get("/livez")
async def alive() -> Status:
    """The process answers; nothing else is asked."""
    return Status(status="ok")


@router.get("/readyz", responses=responses(503))
async def ready(request: Request) -> Status:
    """Actors can be called now, and the model can answer."""
    if request.app.state.stopping.begun:
        raise Unavailable("The service is stopping.")
    services = services_of(request)
    reason = services.model.unready() or await services.runtime.unready()
    if reason is not None:
        raise Unavailable(reason)
    return Status(status="ok")
