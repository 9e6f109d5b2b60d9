"""A service that reads a topic of a real broker, on each runtime."""

import json
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.dapr.engine import COMPONENTS, Engine
from tests.e2e.dapr import DaprService
from tests.e2e.service import AnyService, Service, becomes, eventually
from tests.kafka.broker import Broker

BINDING = COMPONENTS / "bindings" / "kafka-binding.yaml"
GROUP = "chat-agent-group"
TOKEN = "the token of these tests"
SETTINGS: dict[str, Any] = {
    "model": "scripted",
    "parking_time": 0.5,
    "recovery_period": 1,
    "drain": 3,
    "message_bytes": 2_000,
}
# A message that was not taken comes again sooner, and one who was killed is missed sooner.
QUICK = """\
    - name: sessionTimeout
      value: 6s
    - name: heartbeatInterval
      value: 1s
"""


def component(broker: Broker, topic: str, folder: Path, *, pause: str = "500ms") -> Path:
    """A folder with the shipped binding, for this broker and this topic."""
    text = BINDING.read_text(encoding="utf-8")
    for shipped, ours in (
        ("localhost:9092", broker.address),
        ("user-messages", topic),
        (GROUP, topic),
        ("5s", pause),
    ):
        text, number = re.subn(rf"value: {shipped}$", f"value: {ours}", text, flags=re.MULTILINE)
        assert number == 1, shipped
    folder.mkdir(parents=True)
    (folder / BINDING.name).write_text(text + QUICK, encoding="utf-8")
    return folder


def said(actor_id: str, content: str, **more: Any) -> bytes:
    """The value of a record."""
    message = {"role": "user", "content": content}
    return json.dumps({"actor_id": actor_id, "message": message, **more}).encode()


class Listening:
    """A service, and the topic it reads; its group is named like the topic.

    Args:
        service: It has the binding.
        broker: Has the topic.
        topic: Its name.
    """

    def __init__(self, service: AnyService, broker: Broker, topic: str) -> None:
        self.service = service
        self.broker = broker
        self.topic = topic

    def send(self, value: bytes | None, *, partition: int = 0, **record: Any) -> int:
        """Appends a record; its offset."""
        return self.broker.send(self.topic, value, partition=partition, **record)

    def say(self, actor_id: str, content: str, *, partition: int = 0) -> int:
        """Appends what somebody says; the offset."""
        return self.send(said(actor_id, content), partition=partition, key=actor_id)

    def kill_app(self) -> None:
        """Ends the process of the app at once; a sidecar goes on."""
        if isinstance(self.service, DaprService):
            self.service.replica.app.kill()
        else:
            self.service.kill()

    async def restart(self, **settings: Any) -> None:
        """Ends the service and starts it with other settings."""
        given = {f"AGENT_ACTORS_{key.upper()}": str(settings[key]) for key in settings}
        await self.stop()
        if isinstance(self.service, DaprService):
            self.service.replica.app._env.update(given)
        elif isinstance(self.service, Service):
            self.service._settings.update(given)
        await self.service.start()

    async def stop(self) -> None:
        """Ends the service in order, so that nobody is in the group any more."""
        self.service.send(signal.SIGTERM)
        assert await self.service.ended() == 0, self.service.logged()[-4000:]
        if isinstance(self.service, DaprService):
            self.service.replica.sidecar.stop()

    async def again(self, partitions: int) -> None:
        """Has the service read everything from the beginning once more."""
        await self.stop()
        for partition in range(partitions):
            self.broker.rewind(self.topic, self.topic, partition=partition)
        await self.service.start()
        for partition in range(partitions):
            await self.taken(partition=partition)

    async def contents(self, actor_id: str) -> list[str]:
        """What was said in a conversation, by the user."""
        entries = await self.service.history(actor_id)
        return [each["content"] for each in entries if each["role"] == "user"]

    async def heard(self, actor_id: str, *contents: str) -> None:
        """Waits until this was said and answered, in this order, and nothing else."""
        await becomes(lambda: self.contents(actor_id), [*contents])

    async def letters(self) -> dict[str, dict[str, Any]]:
        """The dead letters of the topic, by their records' ids."""
        answer = await self.service.http.get("/events/dead", params={"limit": 1000})
        return {each["event"]["id"]: each for each in answer.json()["dead"]}

    async def letter(self, offset: int, *, partition: int = 0) -> dict[str, Any]:
        """Waits for the letter of a record."""
        begins = f"{self.topic}/{partition}/{offset}/"

        async def there() -> dict[str, Any] | None:
            letters = (await self.letters()).items()
            return next((each for name, each in letters if name.startswith(begins)), None)

        letter: dict[str, Any] = await eventually(there, f"the record {begins} is a dead letter")
        return letter

    async def requeue(self, letter: dict[str, Any]) -> int:
        """The status of requeueing it."""
        answer = await self.service.http.post(f"/events/dead/{letter['id']}/requeue")
        return answer.status_code

    async def taken(self, *, partition: int = 0) -> None:
        """Waits until the group has taken all of a partition."""

        def all_of_it() -> bool:
            done = self.broker.committed(self.topic, self.topic, partition)
            return done == self.broker.end(self.topic, partition)

        await eventually(all_of_it, "everything is taken")


@asynccontextmanager
async def listening(
    broker: Broker, topic: str, folder: Path, engine: Engine | None, **settings: Any
) -> AsyncIterator[Listening]:
    """A service that is ready and reads the topic."""
    components = f"{COMPONENTS}:{component(broker, topic, folder / 'mine')}"
    chosen = SETTINGS | settings
    service: AnyService
    if engine is None:
        service = Service(folder, token=TOKEN, components=components, **chosen)
    else:
        service = DaprService(engine, folder, components=Path(components), **chosen)
    try:
        await service.start()
        yield Listening(service, broker, topic)
    finally:
        await service.close()
