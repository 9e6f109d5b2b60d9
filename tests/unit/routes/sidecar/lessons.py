"""What the callers and the services of the lessons send, and what they then read."""

import json
from typing import Any

import httpx2

from agent_actors.protocol import ids, wire
from agent_actors.protocol.events import CloudEvent
from tests.conftest import Served
from tests.fakes import eventually

LONG_AGO = "2020-01-01T00:00:00Z"
LATER = "2999-01-01T00:00:00Z"
AT_ONCE: dict[str, Any] = {"feed_time": 0.01}
"""A setting: a user's numbers follow each event at once."""


HALF = "half \ud83d of it"
"""JSON can write half a character, which no text has."""


async def send(served: Served, method: str, path: str, body: Any) -> httpx2.Response:
    """Sends any JSON, also such as no text is: a client would refuse half a character itself."""
    headers = {"content-type": "application/json"}
    return await served.http.request(method, path, content=json.dumps(body), headers=headers)


async def post(
    served: Served, user: str, text: str, session: str | None = None, **headers: str
) -> httpx2.Response:
    """Posts a message to `/chat/`; `idempotency_key` and `prefer` are headers."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    body: dict[str, Any] = {"user_id": user, "text": text}
    if session is not None:
        body["metadata"] = {"session_id": session}
    return await served.http.post("/chat/", json=body, headers=given)


async def replied(served: Served, user: str, text: str, session: str | None = None) -> Any:
    """The answer to a message that is answered."""
    answer = await post(served, user, text, session)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def got(served: Served, path: str, **query: Any) -> Any:
    """The JSON that a route answers."""
    answer = await served.http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def becomes(served: Served, path: str, told: Any) -> None:
    """Waits until a route answers that."""

    async def tells() -> bool:
        return bool((await served.http.get(path)).json() == told)

    await eventually(tells)


async def remembered(served: Served, user: str, session: str, turns: int) -> None:
    """Waits until memory has applied that many turns of a session."""
    conversation = ids.session(session)

    async def reached() -> bool:
        return await served.services.reader.mark(user, conversation) >= turns

    await eventually(reached)


async def applied(served: Served, user: str, name: str, turns: int) -> None:
    """Waits until every consumer has applied that many turns of a conversation."""
    services = served.services

    async def reached() -> bool:
        consumers = (services.actors.memory, services.actors.sessions, services.actors.analytics)
        return min([await each.mark(user, name) for each in consumers]) >= turns

    await eventually(reached)


async def texts(served: Served, session: str) -> list[str]:
    """The texts of a session."""
    history = (await got(served, f"/conversations/{session}"))["history"]
    return [entry["content"] for entry in history]


def conversation(**changes: Any) -> dict[str, Any]:
    """What the lesson's chat service publishes on `conversations`."""
    return {
        "event_type": "ConversationUpdated",
        "user_id": "junaid",
        "session_id": "s1",
        "user_message": "Hello",
        "assistant_reply": "Hi Junaid!",
    } | changes


def message(**changes: Any) -> dict[str, Any]:
    """What the lesson's chat service publishes on `messages`."""
    return {"user_id": "junaid", "event_type": "MessageSent"} | changes


def wrapped(data: Any, event_id: str = "e1", **changes: Any) -> dict[str, Any]:
    """An event as daprd delivers it."""
    return {
        "id": event_id,
        "source": "chat-service",
        "type": "com.dapr.event.sent",
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "pubsubname": wire.LESSON_PUBSUB,
        "topic": wire.CONVERSATIONS,
        "time": LONG_AGO,
        "data": data,
    } | changes


def as_text(event: dict[str, Any]) -> dict[str, Any]:
    """The same with its data as text: what the SDK's `publish_event` sends."""
    return event | {"datacontenttype": "text/plain", "data": json.dumps(event["data"])}


async def publish(served: Served, topic: str, data: Any, event_id: str = "e1") -> None:
    """Publishes an event as another service does."""
    event = CloudEvent(event_id, "chat-service", "com.dapr.event.sent", "s", data)
    await served.services.runtime.publish(wire.LESSON_PUBSUB, topic, event)


async def letters(served: Served) -> list[dict[str, Any]]:
    """The dead letters."""
    dead: list[dict[str, Any]] = (await got(served, "/events/dead"))["dead"]
    return dead
