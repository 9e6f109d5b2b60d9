"""A service whose turns workflows carry, as these tests talk to it."""

import json
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx2

from tests.dapr.engine import Engine
from tests.e2e.dapr import DaprService, Redis, running_on_dapr
from tests.e2e.service import eventually
from tests.faults.rig import calls
from tests.workflow.app import REACHED

COMMAND = [sys.executable, "-m", "tests.workflow.app"]
SETTINGS: dict[str, Any] = {
    "command": COMMAND,
    "model": "scripted",
    "parking_time": 0.3,
    "recovery_period": 1,
    "feed_time": 0.2,
    "orchestration": "workflow",
}


def carried(
    engine: Engine, folder: Path, **settings: Any
) -> AbstractAsyncContextManager[DaprService]:
    """A service that is ready, with a Redis of its own; all of it is killed at the end."""
    return running_on_dapr(engine, folder, **(SETTINGS | settings))


async def say(
    service: DaprService, user: str, text: str, session: str | None = None, **headers: str
) -> httpx2.Response:
    """Posts a message to `/chat/`; `idempotency_key` and `prefer` are headers."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    body: dict[str, Any] = {"user_id": user, "text": text}
    if session is not None:
        body["metadata"] = {"session_id": session}
    return await service.http.post("/chat/", json=body, headers=given)


async def history(service: DaprService, session: str) -> list[str]:
    """The messages of a session."""
    answer = await service.http.get(f"/conversations/{session}")
    return [entry["content"] for entry in answer.json()["history"]]


async def count(service: DaprService, user: str) -> int:
    """The user's messages that were counted."""
    number: int = (await service.http.get(f"/analytics/{user}")).json()["message_count"]
    return number


def sent(service: DaprService, user: str) -> list[str]:
    """The turns of a user that `MessageSent` was published of, in order."""
    with Redis(service.cluster.redis) as redis:
        entries = redis.ask(b"XRANGE", b"messages", b"-", b"+")
    told = [json.loads(fields[fields.index(b"data") + 1])["data"] for _, fields in entries]
    return [each["turn_id"] for each in told if each["user_id"] == user]


async def delivered(service: DaprService) -> None:
    """Waits until every `MessageSent` was delivered, and its delivery answered."""

    def done() -> bool:
        with Redis(service.cluster.redis) as redis:
            groups = redis.ask(b"XINFO", b"GROUPS", b"messages")
        owed = [dict(zip(each[::2], each[1::2], strict=True)) for each in groups]
        return bool(owed) and all(each[b"pending"] == each[b"lag"] == 0 for each in owed)

    await eventually(done, "every MessageSent was delivered")


async def erased(service: DaprService) -> None:
    """Waits until nothing of any workflow is stored."""
    await eventually(lambda: not workflows(service), "nothing of the workflows is stored")


def workflows(service: DaprService) -> list[str]:
    """What the store has of workflows."""
    with Redis(service.cluster.redis) as redis:
        return sorted(key.decode() for key in redis.ask(b"KEYS", b"*||dapr.internal.*"))


async def stand(service: DaprService, *points: str) -> None:
    """Waits until turns stand at these points, where they stop."""
    path = service.cluster.folder / "replica-0" / REACHED
    await eventually(
        lambda: path.is_file() and set(path.read_text().split()) == {*points},
        "each turn stands at its point",
    )


def model_calls(service: DaprService, user: str) -> list[dict[str, Any]]:
    """The calls of the model for a user."""
    return [call for call in calls(service.cluster) if call["user"] == user]
