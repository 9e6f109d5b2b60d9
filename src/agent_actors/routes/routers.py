"""Every router of the HTTP API, in the order in which requests are matched with them."""

from fastapi import APIRouter

from agent_actors.routes import (
    analytics,
    chat,
    dead_letters,
    follow_up,
    health,
    memories,
    memory,
    metrics,
    notifications,
    response,
    schedules,
    sessions,
    users,
)
from agent_actors.routes.sidecar import events, lesson_events, receive

ROUTERS: tuple[APIRouter, ...] = (
    sessions.router,  # Before chat: `POST /chat/` is no actor id.
    chat.router,
    follow_up.router,
    schedules.router,
    response.router,
    memory.router,
    memories.router,
    users.router,
    analytics.router,
    events.router,
    dead_letters.router,
    lesson_events.router,
    receive.router,
    notifications.router,
    health.router,
    metrics.router,
)
