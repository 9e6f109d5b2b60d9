"""Events of others, through the sidecar's own broker: applied once, or kept where they are seen."""

import asyncio
import json
from typing import Any

from tests.e2e.dapr import DaprService
from tests.e2e.service import clock, eventually

LESSON = {
    "actor_id": "ada",
    "input": {"role": "user", "content": "I am Ada"},
    "output": {"role": "assistant", "content": "Hello Ada"},
}
BROKEN = {
    "halved": LESSON | {"output": None},
    "nobody's": {key: LESSON[key] for key in ("input", "output")},
    "badly named": LESSON | {"actor_id": "a/../b"},
    "text": "no data at all",
}
PATIENCE = 60.0
"""A failing event is tried seven times, half a second apart, before it is a dead letter."""


async def publish(service: DaprService, data: object, event_id: str | None = None) -> None:
    """Publishes as any app of the namespace may."""
    path = "publish/daca-pubsub/user-chat"
    if event_id is not None:
        path += f"?metadata.cloudevent.id={event_id}"
    answer = await service.http.post(service.beside(path), json=data)

    assert answer.status_code == 204, answer.text


async def dead(service: DaprService) -> list[dict[str, Any]]:
    """The dead letters, newest first."""
    answer = await service.http.get("/events/dead")
    assert answer.status_code == 200, answer.text
    letters: list[dict[str, Any]] = answer.json()["dead"]
    return letters


async def buried(service: DaprService, number: int) -> list[dict[str, Any]]:
    """Waits for that many dead letters."""

    async def there() -> list[dict[str, Any]]:
        letters = await dead(service)
        return letters if len(letters) >= number else []

    letters: list[dict[str, Any]] = await eventually(there, f"{number} dead letters", PATIENCE)
    return letters


async def test_an_event_that_can_never_be_applied(service: DaprService):
    """It is a dead letter exactly once, survives app and sidecar, and cannot be requeued."""
    for event_id, data in BROKEN.items():
        await publish(service, data, event_id.replace(" ", "-"))
    before = await buried(service, len(BROKEN))
    service.kill()
    await service.start()
    await clock.sleep(2.0)  # Longer than the broker would take to send one again at a start.
    after = await dead(service)

    assert after == before
    assert len(after) == len({letter["id"] for letter in after}) == len(BROKEN)
    assert sorted(
        json.dumps(letter["event"]["data"], sort_keys=True) for letter in after
    ) == sorted(json.dumps(data, sort_keys=True) for data in BROKEN.values())
    for letter in after:
        answer = await service.http.post(f"/events/dead/{letter['id']}/requeue")

        assert answer.status_code == 409, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    assert await dead(service) == after
    assert await service.memory("ada") == []


async def test_an_event_of_a_later_release(service: DaprService):
    """Tried again and again, then a dead letter, once; a requeue is refused and keeps it."""
    later = {"version": 99, "seq": 1, "event_id": "later", "user_id": "ada"}
    await publish(service, later, "later")
    (letter,) = await buried(service, 1)
    answers = await asyncio.gather(
        *(service.http.post(f"/events/dead/{letter['id']}/requeue") for _ in range(3))
    )

    assert letter["event"]["data"] == later
    assert [answer.status_code for answer in answers] == [409] * 3
    assert await dead(service) == [letter]


async def test_an_event_of_the_lesson(service: DaprService):
    """Published again with its id it has no effect, a restart later neither; with another, one."""
    said, answered = LESSON["input"], LESSON["output"]
    await publish(service, LESSON, "one")
    await publish(service, LESSON, "one")
    await others_are_through(service, "bob")

    assert await service.memory("ada") == [said, answered]

    service.kill()
    await service.start()
    await publish(service, LESSON, "one")
    await others_are_through(service, "carl")

    assert await service.memory("ada") == [said, answered]

    await publish(service, LESSON, "two")
    await others_are_through(service, "dora")

    assert await service.memory("ada") == [answered, said, answered]
    assert await dead(service) == []


async def others_are_through(service: DaprService, user: str) -> None:
    """Waits for an event of another user, published last, and a moment for what it overtook."""
    await publish(service, LESSON | {"actor_id": user}, f"for-{user}")
    await service.remembered(user, "I am Ada")
    await clock.sleep(0.5)
