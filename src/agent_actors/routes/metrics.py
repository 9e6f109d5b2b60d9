"""`/metrics`: the metrics of this process, for Prometheus. They have no ids: anybody may read."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from agent_actors.routes.edge.dependencies import services_of

router = APIRouter(tags=["health"])

_EXAMPLE = 'agent_actors_active_actors{type="ChatAgent"} 3.0\n'
_TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Prometheus' text format, or OpenMetrics if the header `Accept` names it.",
        "content": {"text/plain": {"schema": {"type": "string", "examples": [_EXAMPLE]}}},
    }
}


@router.get("/metrics", response_class=Response, responses=_TEXT)
async def metrics(request: Request) -> Response:
    """The metrics of this process since its start."""
    accept = request.headers.get("accept", "")
    body, content_type = services_of(request).metrics.exposition(accept)
    return Response(body, headers={"content-type": content_type})
