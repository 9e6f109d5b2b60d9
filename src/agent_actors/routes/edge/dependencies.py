"""What routes are given: the services of the app, and the parameters that several of them share."""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Path, Request
from pydantic import AfterValidator
from starlette.types import Scope

from agent_actors.access.caller import Caller
from agent_actors.clock import Clock
from agent_actors.conversation.runner import TurnRunner
from agent_actors.errors import Forbidden
from agent_actors.model import Model
from agent_actors.notifications.sender import SmsSender
from agent_actors.observability.counters import Counters
from agent_actors.observability.metrics import Metrics
from agent_actors.protocol import ids, wire
from agent_actors.protocol.clients import AnalyticsClient, ChatClient, MemoryClient, SessionClient
from agent_actors.protocol.messages import text
from agent_actors.runtime import DeadLetters, Runtime
from agent_actors.settings import Settings
from agent_actors.state.reader import StateReader
from agent_actors.users.feed import EventFeed


@dataclass(frozen=True, slots=True)
class Services:
    """The collaborators of the routes, made once by the composition.

    `carried` answers `POST /chat/`: as `answers`, or by a workflow for each turn. `feed` brings the
    other consumers up to date; `forget` forgets a user; `token` is what callbacks must carry, None
    accepts any caller. `counters` counts what `metrics` shows.
    """

    settings: Settings
    runtime: Runtime
    model: Model
    clock: Clock
    dead_letters: DeadLetters
    answers: TurnRunner
    carried: TurnRunner
    reader: StateReader
    chat: ChatClient
    memory: MemoryClient
    sessions: SessionClient
    analytics: AnalyticsClient
    feed: EventFeed
    forget: Callable[[str], Awaitable[None]]
    token: str | None
    new_turn_id: Callable[[], str]
    counters: Counters
    metrics: Metrics
    notifications: SmsSender | None = None


def services_of(request: Request) -> Services:
    """The services of the app that serves this request.

    A plain call, not a dependency: FastAPI would spend a tenth of a turn on resolving it.
    """
    return cast(Services, request.app.state.services)


UserId = Annotated[str, AfterValidator(ids.actor_id)]
# Described only: `actor_id` checks it, and says it in words.
_FORM = {"pattern": f"^{ids.ID_FORM}$"}
ActorIdPath = Annotated[
    UserId,
    Path(
        json_schema_extra=_FORM,
        description="Conversation and user. Ids beginning with `session:` are refused.",
        examples=["ada"],
    ),
]
UserIdPath = Annotated[
    UserId,
    Path(
        json_schema_extra=_FORM,
        description="A user. Ids beginning with `session:` are refused.",
        examples=["ada"],
    ),
]
Text = Annotated[str, AfterValidator(text)]


def callback(request: Request) -> Services:
    """The services, for the runtime only (I12).

    Raises:
        Forbidden: The token is missing or wrong.
    """
    services = services_of(request)
    if services.token is not None and not carries(request.scope, services.token):
        raise Forbidden("This route is for the runtime; it needs its dapr-api-token.")
    return services


_FORWARDED = {b"forwarded", b"x-forwarded-for", b"x-real-ip"}


def operator(request: Request) -> Services:
    """The services, for the runtime, for admins, and for whoever calls from this machine.

    Raises:
        Forbidden: None of them.
    """
    services = services_of(request)
    caller = caller_of(request.scope)
    if (caller is not None and caller.admin) or _is_operator(request.scope, services.token):
        return services
    raise Forbidden("This route is for callers on this machine, or with the dapr-api-token.")


def _is_operator(scope: Scope, token: str | None) -> bool:
    """Does a request come from this machine, or with the sidecar's token?"""
    return _loopback(scope) or (token is not None and carries(scope, token))


CALLER = "agent_actors.caller"
"""Where the gate leaves in a request who sent it."""


def caller_of(scope: Scope) -> Caller | None:
    """Who sent a request; None where nobody is asked for a token."""
    caller: Caller | None = scope.get(CALLER)
    return caller


def carries(scope: Scope, token: str) -> bool:
    """Does a request carry the token? Compared in constant time."""
    return hmac.compare_digest(header(scope, wire.TOKEN_HEADER.encode()) or b"", token.encode())


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of that name (in lower case), if there is one."""
    return next((value for key, value in scope["headers"] if key == name), None)


def _loopback(scope: Scope) -> bool:
    """Did the request come from this machine, and not by a proxy on it?"""
    client = scope.get("client")
    if client is None or any(name in _FORWARDED for name, _ in scope["headers"]):
        return False
    try:
        return ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False
