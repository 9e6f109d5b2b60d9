"""Records of a Kafka topic, as tests post them to the app."""

import json
from collections.abc import Sequence
from typing import Any

import httpx2

from agent_actors.routes.sidecar import receive
from tests.conftest import Served

PATH = "/receive-message"
NOW = 4_000_000_000_000
"""Milliseconds, after whatever a test does."""

Pairs = Sequence[tuple[str, str]]


def said(content: str, actor_id: str = "ada", **more: Any) -> bytes:
    message = {"role": "user", "content": content}
    return json.dumps({"actor_id": actor_id, "message": message, **more}).encode()


def at(offset: int, timestamp: int = NOW) -> Pairs:
    """The headers of a record of `user-messages`."""
    return [
        ("__topic", "user-messages"),
        ("__partition", "0"),
        ("__offset", str(offset)),
        ("__timestamp", str(timestamp)),
    ]


async def post(served: Served, body: bytes, headers: Pairs) -> httpx2.Response:
    return await served.http.post(PATH, content=body, headers=[*headers, *served.token.items()])


async def received(served: Served, body: bytes, headers: Pairs) -> dict[str, Any]:
    """The answer, which is 200 whatever became of the record."""
    answer = await post(served, body, headers)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def letter(served: Served) -> bytes:
    """The one dead letter, as it was kept."""
    (kept,) = await served.services.dead_letters.list(10)
    assert kept.topic == "kafka-binding"
    return json.dumps(kept.event).encode()


def as_said(content: str) -> receive.KafkaMessage:
    return receive.KafkaMessage.model_validate_json(said(content))


def raw(headers: Pairs) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers]
