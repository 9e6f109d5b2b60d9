"""`/info`: what this process runs, for operators. `agent-actors doctor` asks for it."""

from fastapi import APIRouter, Request

from agent_actors.protocol.service_info import ServiceInfo
from agent_actors.routes.edge.dependencies import operator
from agent_actors.routes.edge.problems import responses

router = APIRouter(tags=["health"])


@router.get("/info", responses=responses(403))
async def info(request: Request) -> ServiceInfo:
    """What this process runs: its release, runtime, model and access control. It has no secret."""
    services = operator(request)
    model = services.model.describe()
    about = {"model": model.name or None, "model_server": model.server, "own_model": model.own}
    return services.info.model_copy(update=about)
