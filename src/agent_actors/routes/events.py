"""`/subscribe`: events of the topic `user-chat`, applied to memory; `/events/dead`: what was not.

SUCCESS is answered only after the effect is saved, RETRY when it may work later, DROP only for what
can never work (I5). Other words mean RETRY to daprd.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from agent_actors import contracts
from agent_actors.errors import AgentError, Conflict, NotFound, TryLater
from agent_actors.messages import DeadLetter, Remember
from agent_actors.routes.delivery import Callback
from agent_actors.routes.dependencies import Services, callback, operator
from agent_actors.routes.envelope import Event, Unusable, read_event
from agent_actors.routes.problems import responses

log = logging.getLogger(__name__)

router = APIRouter(tags=["events"])


LETTER = {
    "id": "5f0c3c5e-7b0f-5c53-9d0e-3a1f0c9c1b7a",
    "topic": contracts.USER_CHAT,
    "reason": "it names no user",
    "tries": 0,
    "at": "2026-01-01T12:00:00Z",
    "event": {"id": "x", "data": {}},
}
"""An example of a dead letter."""


class Verdict(BaseModel):
    """What becomes of the event, in daprd's words."""

    status: Literal["SUCCESS", "RETRY", "DROP"] = Field(examples=["SUCCESS"])


class Letters(BaseModel):
    """Events that could not be applied, newest first."""

    dead: list[DeadLetter] = Field(examples=[[LETTER]])


@router.post("/subscribe", responses=responses(403))
async def subscribe(request: Request) -> Verdict:
    """Apply one event to the memory of its user; effective once, however often it comes."""
    return await _take(callback(request), await request.body())


@router.post("/subscribe/dead", responses=responses(403))
async def subscribe_dead(request: Request) -> Verdict:
    """Keep what could not be applied, unless it has been since, or history can send it again."""
    return await _take_dead(callback(request), await request.body())


@router.get("/events/dead", responses=responses(403, 422, 503))
async def dead(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> Letters:
    """Events that could not be applied, newest first."""
    return Letters(dead=list(await operator(request).dead_letters.list(limit)))


@router.post(
    "/events/dead/{letter_id}/requeue",
    responses=responses(403, 404, 409, 422, 503),
)
async def requeue(
    letter_id: Annotated[str, Path(examples=[LETTER["id"]])], request: Request
) -> Verdict:
    """Deliver a dead letter once more; it is forgotten if that succeeds."""
    if await operator(request).dead_letters.requeue(letter_id) is None:
        raise NotFound(f"There is no dead letter {letter_id!r}.")
    return Verdict(status="SUCCESS")


def callbacks(wired: Services) -> Mapping[str, Callback]:
    """The callback routes by their paths, for delivery in process."""

    def called(take: Callable[[Services, bytes], Awaitable[Verdict]]) -> Callback:
        async def answer(body: bytes) -> bytes:
            return (await take(wired, body)).model_dump_json().encode()

        return answer

    return {"/subscribe": called(_take), "/subscribe/dead": called(_take_dead)}


async def redeliver(wired: Services, body: bytes) -> None:
    """Applies an event that had been given up.

    Raises:
        Conflict: It failed again.
    """
    verdict = await _take(wired, body)
    if verdict.status != "SUCCESS":
        raise Conflict(f"The event failed again ({verdict.status}); its letter is still there.")


async def _take(wired: Services, body: bytes) -> Verdict:
    try:
        event = read_event(body)
    except Unusable as unusable:
        log.warning("event %s cannot be applied: %s", unusable.event_id, unusable.reason)
        return Verdict(status="DROP" if unusable.for_ever else "RETRY")
    return Verdict(status=await _apply(wired, event))


async def _take_dead(wired: Services, body: bytes) -> Verdict:
    try:
        event = read_event(body)
    except Unusable as unusable:
        return await _keep(wired, body, unusable.reason)
    if await _recoverable(wired, event):
        return Verdict(status="SUCCESS")
    return await _keep(wired, body, "it failed each time it was delivered")


async def _apply(wired: Services, event: Event) -> Literal["SUCCESS", "RETRY", "DROP"]:
    """Memory is the last consumer: its mark is the one that is asked (PROTOCOL, 4.13)."""
    try:
        remembered = await wired.memory.remember(event.user, event.remember)
    except TryLater:
        return "RETRY"
    except AgentError as error:
        log.warning("event %s failed: %s", event.remember.event_id, error.title)
        return "DROP" if 400 <= error.status < 500 else "RETRY"
    return "RETRY" if remembered.status == "gap" else "SUCCESS"


async def _recoverable(wired: Services, event: Event) -> bool:
    """Has memory passed it, or can the conversation publish it again?"""
    remember: Remember = event.remember
    if remember.seq is None:
        return False
    mark = await wired.saved.mark(event.user, remember.conversation)
    if remember.seq <= mark:
        return True
    head = await wired.saved.head(remember.conversation)
    return head.user == event.user and head.low <= remember.seq <= head.seq


async def _keep(wired: Services, body: bytes, reason: str) -> Verdict:
    await wired.dead_letters.keep(reason=reason, event=body, topic=contracts.USER_CHAT, tries=0)
    return Verdict(status="SUCCESS")
