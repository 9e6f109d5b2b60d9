"""`/`, health and configuration: whether the process is alive and ready, and its actor types."""

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
    """The name of the service."""

    message: str = Field(examples=["Welcome to agent-actors: AI agents as Dapr virtual actors."])


class Status(BaseModel):
    """The service is alive, or ready."""

    status: str = Field("ok", examples=["ok"])


class ActorConfig(BaseModel):
    """The actor types of this service, and when they are deactivated."""

    model_config = ConfigDict(extra="allow")

    entities: list[str] = Field(examples=[["ChatAgent", "ResponseAgent", "MemoryAgentActor"]])
    actorIdleTimeout: str = Field(examples=["0h1m0s0ms0μs"])  # noqa: N815 - Dapr's name
    drainOngoingCallTimeout: str = Field(examples=["0h0m2s0ms0μs"])  # noqa: N815 - Dapr's name


@router.get("/", response_model=Welcome)
async def welcome(request: Request) -> Welcome | Response:
    """A greeting; browsers are redirected to the API's documentation."""
    if "text/html" in request.headers.get("accept", ""):
        # A path alone: only the browser knows the scheme and the name that it has used.
        return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")
    return Welcome(message="Welcome to agent-actors: AI agents as Dapr virtual actors.")


@router.get("/healthz")
async def healthy() -> Status:
    """The process is alive, in the words of the Dapr SDK."""
    return Status(status="ok")


@router.get("/dapr/config", response_model=ActorConfig)
async def dapr_config(request: Request) -> Response:
    """The configuration of the actors for a sidecar, as the Dapr SDK writes it."""
    await services_of(request).runtime.sidecar_started()
    body = DefaultJSONSerializer().serialize(ActorRuntime.get_actor_config())
    return Response(body, media_type="application/json")


@router.get("/livez")
async def alive() -> Status:
    """The process is alive; nothing else is checked."""
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
