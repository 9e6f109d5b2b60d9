"""What routes are given: the services of the app, and the parameters that several of them share."""

import hmac
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Header, Path, Request
from pydantic import AfterValidator

from agent_actors import contracts
from agent_actors.clients import ChatClient, MemoryClient
from agent_actors.errors import Forbidden
from agent_actors.routes.answers import Answers
from agent_actors.runtime import Runtime
from agent_actors.saved import Saved
from agent_actors.settings import Settings

TOKEN_HEADER = "dapr-api-token"  # noqa: S105 - the name of a header


@dataclass(frozen=True, slots=True)
class Services:
    """The collaborators of the routes, made once by the composition.

    `token` is what callbacks must carry; None accepts any caller.
    """

    settings: Settings
    runtime: Runtime
    answers: Answers
    saved: Saved
    chat: ChatClient
    memory: MemoryClient
    token: str | None
    new_turn_id: Callable[[], str]


def services(request: Request) -> Services:
    """The services of the app that serves this request."""
    return cast(Services, request.app.state.services)


Wired = Annotated[Services, Depends(services)]

ActorIdPath = Annotated[
    str,
    Path(
        pattern=f"^{contracts.ID_FORM}$",
        description="Conversation and user. Ids beginning with `session:` are refused.",
        examples=["ada"],
    ),
    AfterValidator(contracts.actor_id),
]


def callback(wired: Wired, token: Annotated[str | None, Header(alias=TOKEN_HEADER)] = None) -> None:
    """Lets only the runtime in (I12).

    Raises:
        Forbidden: The token is missing or wrong.
    """
    if wired.token is not None and not _same(token, wired.token):
        raise Forbidden("This route is for the runtime; it needs its dapr-api-token.")


def operator(
    request: Request,
    wired: Wired,
    token: Annotated[str | None, Header(alias=TOKEN_HEADER)] = None,
) -> None:
    """Lets the runtime in, and whoever calls from this machine.

    Raises:
        Forbidden: Neither of them.
    """
    if not _loopback(request) and not (wired.token and _same(token, wired.token)):
        raise Forbidden("This route is for callers on this machine, or with the dapr-api-token.")


def _same(given: str | None, wanted: str) -> bool:
    return hmac.compare_digest((given or "").encode(), wanted.encode())


def _loopback(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
