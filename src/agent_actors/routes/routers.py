"""Every router of the HTTP API, in the order in which they are matched."""

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from agent_actors.routes import (
    analytics,
    chat,
    dead_letters,
    documentation,
    follow_up,
    health,
    info,
    memory,
    metrics,
    notifications,
    response,
    schedules,
    sessions,
    users,
)
from agent_actors.routes.sidecar import events, lesson_events, receive

_ROUTERS: tuple[APIRouter, ...] = (
    sessions.router,  # Before chat: in `POST /chat/`, the actor id would be empty.
    chat.router,
    follow_up.router,
    schedules.router,
    response.router,
    memory.router,
    users.router,
    analytics.router,
    events.router,
    dead_letters.router,
    lesson_events.router,
    receive.router,
    notifications.router,
    health.router,
    metrics.router,
    documentation.router,
    info.router,
)


def _named(route: BaseRoute) -> BaseRoute:
    """A route whose name in the API's documentation is the first sentence of its docstring."""
    if isinstance(route, APIRoute):
        first, _, _ = route.description.partition(".\n")
        route.summary = " ".join(first.rstrip(".").split())
    return route


ROUTES = tuple(_named(route) for router in _ROUTERS for route in router.routes)
"""The routes of the API, in the order in which they are looked for."""
